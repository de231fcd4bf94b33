import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { connectCluster } from '../../src/cluster.ts';
import { reconcile } from '../../src/flow/reconcile.ts';
import { projectKind, projectOf } from '../../src/project.ts';
import { lookAt } from '../../src/sync/look.ts';
import { loadInventory } from '../../src/sync/store.ts';
import { until } from '../support/cluster/until.ts';
import { configMap, runnerAccount } from '../support/project-world.ts';
import { installedPlane, openTenant, type Tenant } from '../support/tenant.ts';

beforeAll(async () => {
  await installedPlane();
}, 90_000);

const ours = { 'k8s/a.yaml': configMap('a', { colour: 'blue' }), 'k8s/b.yaml': configMap('b', { size: 'xl' }) };
async function opened(): Promise<Tenant> {
  const tenant = await openTenant();
  await tenant.project({ syncPolicy: { prune: true } });
  tenant.commit(ours);
  return tenant;
}

describe('an object that was there before', () => {
  test('with the same values is taken into the inventory, and keeps what others have in it', async () => {
    const tenant = await opened();
    await tenant.create({ kind: 'ConfigMap', metadata: { name: 'a' }, data: { colour: 'blue', theirs: 'x' } });
    const before = await tenant.get('ConfigMap', 'a');
    expect(await tenant.sync()).toMatchObject({ sync: 'Synced', objects: 2 });
    const after = await tenant.get('ConfigMap', 'a');
    expect([after?.metadata.uid, after?.['data']]).toEqual([before?.metadata.uid, { colour: 'blue', theirs: 'x' }]);
  });

  test('with another value is a conflict that names field and manager; nothing of the commit is applied until one gives way', async () => {
    const tenant = await opened();
    await tenant.plane.kubectl(['apply', '--server-side', '--field-manager=hand', '-f', '-'], {
      namespace: tenant.namespace,
      input: configMap('a', { colour: 'red' }),
    });
    const outcome = await tenant.sync();
    expect(outcome).toMatchObject({ sync: 'Failed', reason: 'FieldConflict', failed: { retry: 'never' } });
    expect(outcome?.message).toContain(
      `FIELD_CONFLICT: ConfigMap/${tenant.namespace}/a: .data.colour is held by hand (k8s/a.yaml:1); remove that from Git, or let hand give it up`,
    );
    expect([(await tenant.get('ConfigMap', 'a'))?.['data'], await tenant.get('ConfigMap', 'b')]).toEqual([{ colour: 'red' }, undefined]);
    await tenant.plane.kubectl(['apply', '--server-side', '--field-manager=hand', '-f', '-'], {
      namespace: tenant.namespace,
      input: 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n',
    });
    expect(await tenant.sync()).toMatchObject({ sync: 'Synced' });
    expect((await tenant.get('ConfigMap', 'a'))?.['data']).toEqual({ colour: 'blue' });
  });

  test('whose field another manager took after we never had it stays theirs, although we have others in the same object', async () => {
    const tenant = await opened();
    await tenant.sync();
    await tenant.edit('ConfigMap', 'a', { data: { theirs: 'x' } }, 'controller');
    tenant.commit({ ...ours, 'k8s/a.yaml': configMap('a', { colour: 'green', theirs: 'ours now' }) });
    expect(await tenant.sync()).toMatchObject({
      reason: 'FieldConflict',
      message: expect.stringContaining('.data.theirs is held by controller'),
    });
    expect((await tenant.get('ConfigMap', 'a'))?.['data']).toEqual({ colour: 'blue', theirs: 'x' });
  });
});

describe('two Projects that want one object', () => {
  test('the second is refused and names the first, and changes nothing', async () => {
    const tenant = await opened();
    await tenant.sync();
    await tenant.project({ syncPolicy: { prune: true } }, 'web');
    tenant.commit({ 'k8s/a.yaml': configMap('a', { colour: 'red' }), 'k8s/c.yaml': configMap('c', {}) });
    const outcome = await tenant.sync({}, 'web');
    expect(outcome).toMatchObject({ sync: 'Failed', reason: 'ObjectOfAnotherProject' });
    expect(outcome?.message).toContain(`ConfigMap/${tenant.namespace}/a belongs to plumbline:${tenant.namespace}/api (k8s/a.yaml:1)`);
    expect([(await tenant.get('ConfigMap', 'a'))?.['data'], await tenant.get('ConfigMap', 'c')]).toEqual([{ colour: 'blue' }, undefined]);
  });

  test('also when somebody has taken the first one’s label off', async () => {
    const tenant = await opened();
    await tenant.sync();
    await tenant.edit('ConfigMap', 'a', { metadata: { labels: null } });
    await tenant.project({}, 'web');
    tenant.commit({ 'k8s/a.yaml': configMap('a', { colour: 'red' }) });
    expect(await tenant.sync({}, 'web')).toMatchObject({
      reason: 'ObjectOfAnotherProject',
      message: expect.stringContaining(`is also written by plumbline:${tenant.namespace}/api`),
    });
    expect((await tenant.get('ConfigMap', 'a'))?.['data']).toEqual({ colour: 'blue' });
  });

  test('a Project made anew under its name goes on with its objects at once, while its old inventory is still there', async () => {
    const tenant = await opened();
    await tenant.sync();
    const uids = async () => [(await tenant.get('ConfigMap', 'a'))?.metadata.uid, (await tenant.get('ConfigMap', 'b'))?.metadata.uid];
    const before = await uids();
    await tenant.remove('Project', 'api');
    await tenant.project({ syncPolicy: { prune: true } });
    await until('it is in sync', 20_000, async () => (await tenant.sync())?.sync === 'Synced');
    expect(await uids()).toEqual(before);
    tenant.commit({ 'k8s/a.yaml': configMap('a', { colour: 'blue' }) });
    await tenant.sync();
    expect(await tenant.names('ConfigMap')).toEqual(['a']);
  });
});

describe('what a Project may reach', () => {
  test('another namespace is not for a tenant’s Project', async () => {
    const tenant = await opened();
    await tenant.project({ destination: { namespace: 'kube-system' } });
    expect((await tenant.sync())?.message).toBe(
      `PROJECT_DESTINATION: a Project in ${tenant.namespace} may not deploy to kube-system; move it there, or to plumbline-system`,
    );
  });

  test('nor is a Project of its own making, which could raise its limits', async () => {
    const tenant = await opened();
    tenant.commit({
      'k8s/p.yaml': 'apiVersion: plumbline.dev/v1alpha1\nkind: Project\nmetadata: {name: other}\nspec: {source: {repository: acme/evil}}\n',
    });
    expect(await tenant.sync()).toMatchObject({ reason: 'ObjectNotAllowed' });
  });
});

describe('a Project in plumbline-system', () => {
  let tenant: Tenant;
  let name: string;
  let group: string;
  const system = { namespace: 'plumbline-system' };
  beforeAll(async () => {
    tenant = await openTenant('');
    name = `platform-${tenant.namespace}`;
    group = `${tenant.namespace}.example.com`;
    await tenant.plane.tryKubectl(['create', 'serviceaccount', 'plumbline'], system);
    await tenant.plane.kubectl([
      'create',
      'clusterrolebinding',
      name,
      '--clusterrole=cluster-admin',
      '--serviceaccount=plumbline-system:plumbline',
    ]);
  });
  afterAll(async () => {
    await tenant.plane.tryKubectl(['delete', 'project', name, '--ignore-not-found'], system);
    await tenant.plane.tryKubectl(['delete', 'clusterrolebinding', name]);
    await tenant.plane.tryKubectl(['delete', 'crd', `widgets.${group}`, '--ignore-not-found', '--wait=false']);
    await tenant.plane.tryKubectl(['delete', 'namespace', `${name}-new`, '--ignore-not-found', '--wait=false']);
  });

  test('brings namespace, definition, custom resource, role and binding in one set, and keeps the precious ones when they leave', async () => {
    const made = `${name}-new`;
    const kept = { 'k8s/settings.yaml': configMap('settings', { a: '1' }) };
    const set = {
      ...kept,
      'k8s/a-widget.yaml': `apiVersion: ${group}/v1\nkind: Widget\nmetadata: {name: w, namespace: ${made}}\nspec: {size: 3}\n`,
      'k8s/b-binding.yaml': `apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: reader, namespace: ${made}}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}\nsubjects: [{kind: ServiceAccount, name: default, namespace: ${made}}]\n`,
      'k8s/c-role.yaml': `apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: reader, namespace: ${made}}\nrules: [{apiGroups: [""], resources: [pods], verbs: [get]}]\n`,
      'k8s/d-definition.yaml': `apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: widgets.${group}}\nspec:\n  group: ${group}\n  scope: Namespaced\n  names: {kind: Widget, plural: widgets}\n  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {size: {type: integer}}}}}}}]\n`,
      'k8s/e-namespace.yaml': `apiVersion: v1\nkind: Namespace\nmetadata: {name: ${made}}\n`,
    };
    await tenant.plane.kubectl(['apply', '--server-side', '-f', '-'], {
      input: JSON.stringify({
        apiVersion: 'plumbline.dev/v1alpha1',
        kind: 'Project',
        metadata: { name, namespace: 'plumbline-system' },
        spec: {
          source: { url: 'https://git.example.com/acme/platform.git', path: 'k8s' },
          destination: { namespace: tenant.namespace },
          syncPolicy: { prune: true },
        },
      }),
    });
    const sync = () => reconcile({ namespace: 'plumbline-system', name }, 'test', tenant.doors);
    tenant.commit(set);
    const outcome = await sync();
    expect(outcome).toMatchObject({ sync: 'Synced', objects: 6 });
    expect(await tenant.plane.kubectl(['get', `widgets.${group}`, 'w', '-n', made, '-o', 'jsonpath={.spec.size}'])).toBe('3');
    expect((await tenant.get('ConfigMap', 'settings'))?.['data']).toEqual({ a: '1' });
    expect(await sync()).toMatchObject({ sync: 'Synced' });
    tenant.commit(kept);
    expect(await sync()).toMatchObject({
      reason: 'DeletionHeld',
      message: expect.stringMatching(/CustomResourceDefinition\/widgets\.|all|Namespace/),
    });
    expect(await tenant.plane.kubectl(['get', 'namespace', made, '-o', 'jsonpath={.status.phase}'])).toBe('Active');
    expect(await tenant.plane.kubectl(['get', 'crd', `widgets.${group}`, '-o', 'name'])).toContain(`widgets.${group}`);

    // A person removes the definition, and all custom resources with it: that is no fault, and nothing of it is remembered.
    tenant.commit(set);
    expect(await sync()).toMatchObject({ sync: 'Synced', objects: 6 });
    await tenant.plane.kubectl(['delete', 'crd', `widgets.${group}`]);
    const cluster = connectCluster({ kubeconfig: await tenant.plane.kubeconfigFor({ serviceAccount: runnerAccount }) });
    const project = projectOf(
      (await cluster.read({ ...projectKind, ...system, name })) ?? { apiVersion: '', kind: '', metadata: { name } },
    );
    const look = await lookAt(project, await loadInventory(cluster, project), cluster.as(project.account));
    expect(look.suspects).toContain(`${group}/Widget/${made}/w`);
    const { 'k8s/a-widget.yaml': _, 'k8s/d-definition.yaml': __, ...rest } = set;
    tenant.commit(rest);
    expect(await reconcile({ namespace: 'plumbline-system', name }, 'test', { ...tenant.doors, cluster })).toMatchObject({
      sync: 'Synced',
      objects: 4,
    });
    expect([...(await loadInventory(cluster, project)).entries.keys()].some((id) => id.includes('Widget'))).toBe(false);
  });
});
