// Command cainjector runs cert-manager's own controller that fills caBundles in: for the registrations of webhooks alone, from the
// Secrets that they name by annotation. cert-manager publishes its program as images only; its packages are what that
// program is made of.
//
// The cluster is that of KUBECONFIG. It runs until it is ended.
package main

import (
	"log"

	"github.com/cert-manager/cert-manager/pkg/api"
	"github.com/cert-manager/cert-manager/pkg/controller/cainjector"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metrics "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

func main() {
	ctrl.SetLogger(zap.New())
	manager, err := ctrl.NewManager(ctrl.GetConfigOrDie(), ctrl.Options{
		Scheme:  api.Scheme,
		Metrics: metrics.Options{BindAddress: "0"},
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx := ctrl.SetupSignalHandler()
	setup := cainjector.SetupOptions{
		// Without cert-manager's definitions in the cluster, there are no Certificates to watch.
		EnableCertificatesDataSource: false,
		EnabledReconcilersFor: map[string]bool{
			cainjector.MutatingWebhookConfigurationName:   true,
			cainjector.ValidatingWebhookConfigurationName: true,
		},
	}
	if err := cainjector.RegisterAllInjectors(ctx, manager, setup); err != nil {
		log.Fatal(err)
	}
	if err := manager.Start(ctx); err != nil {
		log.Fatal(err)
	}
}
