// Package stack holds no code, only tests of what is made for a Prometheus: the rules
// and dashboards, by themselves and in real servers that scrape the demo.
package stack
