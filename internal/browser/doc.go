// Package browser looks at the landing page as people do: with a browser. It is a
// module of its own so that what drives the browser stays out of the product. There is
// nothing here but tests.
package browser
