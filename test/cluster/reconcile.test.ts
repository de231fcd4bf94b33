import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { configMap, openWorld, type World } from '../support/project-world.ts';

let world: World;
beforeAll(async () => {
  world = await openWorld();
}, 60_000);
afterAll(() => world.close());

describe('a project on a real API server', () => {
  test('applies what its revision holds and becomes Ready', async () => {
    const revision = await world.commit({
      'k8s/settings.yaml': configMap('settings', { colour: 'blue' }),
      'k8s/web.yaml': 'apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}, ports: [{port: 80}]}\n',
    });
    await world.project({ syncPolicy: { prune: true } });
    const outcome = await world.sync();
    expect(outcome).toMatchObject({ sync: 'Synced', revision });
    expect((await world.get('configmap', 'settings'))?.['data']).toEqual({ colour: 'blue' });
    expect(await world.get('service', 'web')).toBeDefined();
    await world.plane.kubectl(['wait', '--for=condition=Ready', 'project/api', '--timeout=5s'], { namespace: world.namespace });
    expect(await world.status()).toMatchObject({ sync: 'Synced', health: 'Healthy', revision, objects: 2, drift: { count: 0 } });
  });
});
