// Package oracle checks the simulator and the product's own client against the
// vendor's SDK. It is in the module of tools, so that the SDK, its size and its
// dependencies stay out of the product. There is nothing here but tests.
package oracle
