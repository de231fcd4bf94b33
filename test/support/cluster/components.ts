/** The programs of a control plane and the files that they need: what is said here is all that differs from their defaults. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Component } from './state.ts';

export type Ports = { etcd: number; peer: number; api: number };
export type Credentials = { admin: string; controllers: string; scheduler: string };

/** Keys, tokens and policies that have to be there before the first program starts. */
export function prepareFiles(folder: string): Credentials {
  const credentials = { admin: secret(), controllers: secret(), scheduler: secret() };
  const keys = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  mkdirSync(join(folder, 'certs'), { recursive: true });
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text, { mode: 0o600 });
  write('accounts.key', keys.privateKey);
  write('accounts.pub', keys.publicKey);
  write(
    'tokens.csv',
    [
      `${credentials.admin},plumbline-test-admin,admin,system:masters`,
      `${credentials.controllers},system:kube-controller-manager,controllers`,
      `${credentials.scheduler},system:kube-scheduler,scheduler`,
      '',
    ].join('\n'),
  );
  write('audit.yaml', JSON.stringify(auditPolicy));
  return credentials;
}

function secret(): string {
  return randomBytes(24).toString('hex');
}

// Who asked for what, so that a test can count requests; the plane's own chatter is left out.
const auditPolicy = {
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived', 'ResponseStarted'],
  rules: [
    { level: 'None', users: ['system:apiserver', 'system:kube-controller-manager', 'system:kube-scheduler'] },
    { level: 'None', userGroups: ['system:serviceaccounts:kube-system'] },
    { level: 'None', nonResourceURLs: ['/readyz*', '/livez*', '/healthz*'] },
    { level: 'Metadata' },
  ],
};

/** The program's arguments; `folder` is the plane's. */
export function argumentsOf(component: Component, folder: string, ports: Ports): string[] {
  const at = (name: string) => join(folder, name);
  const client = `http://127.0.0.1:${ports.etcd}`;
  const peer = `http://127.0.0.1:${ports.peer}`;
  switch (component) {
    case 'etcd':
      return [
        `--data-dir=${at('etcd')}`,
        '--unsafe-no-fsync',
        '--log-level=warn',
        `--listen-client-urls=${client}`,
        `--advertise-client-urls=${client}`,
        `--listen-peer-urls=${peer}`,
        `--initial-advertise-peer-urls=${peer}`,
        `--initial-cluster=default=${peer}`,
      ];
    case 'kube-apiserver':
      return [
        `--etcd-servers=${client}`,
        '--bind-address=127.0.0.1',
        `--secure-port=${ports.api}`,
        '--advertise-address=127.0.0.1',
        // A loopback address may not stand in Endpoints, and nothing here reaches the API server through its Service.
        '--endpoint-reconciler-type=none',
        `--cert-dir=${at('certs')}`,
        '--service-cluster-ip-range=10.96.0.0/16',
        '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
        `--service-account-key-file=${at('accounts.pub')}`,
        `--service-account-signing-key-file=${at('accounts.key')}`,
        `--token-auth-file=${at('tokens.csv')}`,
        '--authorization-mode=Node,RBAC',
        '--enable-admission-plugins=NodeRestriction',
        '--allow-privileged=true',
        '--kubelet-preferred-address-types=InternalIP',
        '--profiling=false',
        `--audit-policy-file=${at('audit.yaml')}`,
        `--audit-log-path=${at('audit.log')}`,
        '--audit-log-mode=blocking',
        '--audit-log-maxsize=500',
      ];
    case 'kube-controller-manager':
      return [
        `--kubeconfig=${at('controllers.kubeconfig')}`,
        '--leader-elect=false',
        '--secure-port=0',
        '--controllers=*,-node-ipam-controller',
        '--use-service-account-credentials=true',
        `--service-account-private-key-file=${at('accounts.key')}`,
        `--root-ca-file=${at('certs/apiserver.crt')}`,
        // Twenty requests a second is a guard for big clusters; here it would only make tests wait.
        '--kube-api-qps=500',
        '--kube-api-burst=1000',
        '--profiling=false',
      ];
    case 'kube-scheduler':
      return [
        `--kubeconfig=${at('scheduler.kubeconfig')}`,
        '--leader-elect=false',
        '--secure-port=0',
        '--kube-api-qps=500',
        '--kube-api-burst=1000',
        '--profiling=false',
      ];
  }
}

/** A kubeconfig with one cluster, one user and one context, all called `plumbline-test` (JSON, which is YAML). */
export function kubeconfigText(url: string, ca: string, token: string, namespace?: string): string {
  const name = 'plumbline-test';
  const context = { cluster: name, user: name, ...(namespace === undefined ? {} : { namespace }) };
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server: url, 'certificate-authority-data': Buffer.from(ca).toString('base64') } }],
    users: [{ name, user: { token } }],
    contexts: [{ name, context }],
    'current-context': name,
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}
