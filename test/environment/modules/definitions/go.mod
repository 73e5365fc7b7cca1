module wasmount.dev/test/definitions

go 1.26.0

require (
	github.com/cert-manager/cert-manager v1.21.1
	github.com/prometheus-operator/prometheus-operator v0.85.0
)
