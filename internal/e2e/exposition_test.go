package e2e

const webPassword = "open sesame"
