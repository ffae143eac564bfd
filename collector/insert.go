package collector

import "slices"

// places are where more, which is in order, belongs in a list that is: before what is at these
// indices, and behind what is equal.
func places[T any](list, more []T, compare func(a, b T) int) []int {
	places := make([]int, len(more))
	for i, m := range more {
		places[i], _ = slices.BinarySearchFunc(list, m, func(a, b T) int {
			if compare(a, b) <= 0 {
				return -1
			}
			return 1
		})
	}
	return places
}

// insertAt puts each of more where places has found its place, all at once. What is before the
// first of them is not touched.
func insertAt[T any](list []T, places []int, more []T) []T {
	end := len(list)
	list = append(list, more...)
	for i := len(more) - 1; i >= 0; i-- {
		copy(list[places[i]+i+1:], list[places[i]:end])
		list[places[i]+i] = more[i]
		end = places[i]
	}
	return list
}
