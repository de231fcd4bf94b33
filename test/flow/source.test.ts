import { describe, expect, test } from '@jest/globals';
import { trackedRevision } from '../../src/flow/source.ts';
import { followsRef, projectOf } from '../../src/project.ts';

const [A, B, C] = ['a'.repeat(40), 'b'.repeat(40), 'c'.repeat(40)];
const refs = new Map([
  ['HEAD', A],
  ['refs/heads/main', A],
  ['refs/heads/v1', B],
  ['refs/tags/v1', C],
  ['refs/tags/v2', B],
  ['refs/tags/v2^{}', C],
  [`refs/heads/${B}`, C],
]);
const project = (revision?: string) =>
  projectOf({
    apiVersion: 'plumbline.dev/v1alpha1',
    kind: 'Project',
    metadata: { name: 'api', namespace: 'api' },
    spec: { source: { repository: 'acme/api', ...(revision === undefined ? {} : { revision }) } },
  });

describe('what a Project tracks', () => {
  test.each<[string, string | undefined, string]>([
    ['the default branch, when nothing is said', undefined, A],
    ['the default branch, when HEAD is said', 'HEAD', A],
    ['a branch before a tag of that name', 'v1', B],
    ['a tag by its whole name', 'refs/tags/v1', C],
    ['what an annotated tag points to', 'v2', C],
    ['a commit, also when somebody pushes a branch that is called like it', B, B],
  ])('%s', (_, revision, expected) => expect(trackedRevision(project(revision), refs)).toBe(expected));

  test('a branch that is not there is named, with those that are', () => {
    expect(() => trackedRevision(project('mian'), refs)).toThrow(
      expect.objectContaining({ code: 'REVISION_NOT_FOUND', hint: expect.stringContaining('it has main, v1') }),
    );
  });

  test('HEAD means the default branch everywhere: its pushes are followed and its pull requests are compared', () => {
    expect(project('HEAD').source.revision).toBeUndefined();
    expect(followsRef(project('HEAD'), 'refs/heads/main', 'main')).toBe(true);
    expect(followsRef(project('HEAD'), 'refs/heads/other', 'main')).toBe(false);
  });
});
