// Package e2e tests the program as its users meet it: the binary, with a
// configuration file, flags, HTTP and signals, against the simulated API. What the
// metrics should say is computed from the records by a small oracle that shares no
// code with the program.
package e2e
