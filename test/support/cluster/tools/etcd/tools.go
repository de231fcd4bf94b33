//go:build tools

// Package tools keeps etcd in a go.mod of its own: its dependencies and Kubernetes' do not agree.
package tools

import _ "go.etcd.io/etcd/server/v3"
