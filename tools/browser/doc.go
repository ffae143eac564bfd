// Package browser looks at the landing page as people do: with a browser. It is in
// the module of tools, so that what drives the browser stays out of the product. There is
// nothing here but tests.
package browser
