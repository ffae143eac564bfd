// Command bench draws how the cost of each benchmark grows with the size of what it works on,
// and prints a table of it with the peers. Its tests are the peers.
//
// It reads the output of `go test -bench`. A benchmark is called NAME/what=SIZE/by=WHO; without
// by, it is ours. Of several rounds, the least counts: other work on a machine only adds.
package main
