/**
 * From what a repository renders to what this project wants in its cluster: namespace, labels, and what it may not touch. Pure.
 */
import { createHash } from 'node:crypto';
import { type Finding, finding } from '../error.ts';
import { canonicalJson, type KubeObject, keyOf, nameOf, refOf, type SourcedObject } from '../object.ts';
import { applySetOf, mayLeaveNamespace, type Project } from '../project.ts';

export const applySetLabel = 'applyset.kubernetes.io/part-of';

/** `hash` is over the object as it is applied, a Secret's values left out. */
export type Desired = { id: string; object: KubeObject; source: { file: string; line: number }; hash: string };

/** Whether a kind lives in a namespace; undefined when the cluster does not serve it (yet). */
export type Scope = (object: KubeObject) => boolean | undefined;

/**
 * `unserved` are objects whose kind nobody serves: fine when the same set brings the definition, an error otherwise.
 * Everything that is wrong is reported at once; with an error nothing may be applied.
 */
export function desiredObjects(
  rendered: SourcedObject[],
  project: Project,
  isNamespaced: Scope,
): { desired: Desired[]; findings: Finding[] } {
  const findings: Finding[] = [];
  const desired: Desired[] = [];
  const seen = new Map<string, SourcedObject>();
  const brought = kindsBrought(rendered);
  for (const sourced of rendered) {
    const scope = isNamespaced(sourced.object) ?? brought.get(kindKey(sourced.object));
    const problem = problemOf(sourced, scope, project);
    if (problem) {
      findings.push(problem);
      continue;
    }
    const object = marked(sourced.object, project, scope === true);
    const id = keyOf(refOf(object));
    const other = seen.get(id);
    if (other) {
      findings.push(
        finding('error', 'OBJECT_TWICE', `${nameOf(refOf(object))} is written twice, also at ${other.file}:${other.line}`, {
          at: { file: sourced.file, line: sourced.line, object: nameOf(refOf(object)) },
          hint: 'keep one of them',
        }),
      );
      continue;
    }
    seen.set(id, sourced);
    desired.push({ id, object, source: { file: sourced.file, line: sourced.line }, hash: hashOf(withoutValues(object)) });
  }
  return { desired, findings };
}

function problemOf({ object, file, line }: SourcedObject, scope: boolean | undefined, project: Project): Finding | undefined {
  const at = { file, line, object: nameOf(refOf(object)) };
  if (scope === undefined) {
    return finding('error', 'KIND_NOT_SERVED', `this cluster does not serve ${object.kind} of ${object.apiVersion}`, {
      at,
      hint: 'install its CustomResourceDefinition first, or add it to this folder',
    });
  }
  if (object.apiVersion.startsWith('plumbline.dev/') && !mayLeaveNamespace(project)) {
    return finding(
      'error',
      'OBJECT_NOT_ALLOWED',
      `a Project in ${project.namespace} may not write ${object.kind}s: that would let Git raise its own limits`,
      {
        at,
        hint: 'Projects are written by the cluster owner, or by a Project in plumbline-system',
      },
    );
  }
  if (mayLeaveNamespace(project)) return undefined;
  if (!scope) {
    return finding(
      'error',
      'OBJECT_NOT_ALLOWED',
      `${object.kind} belongs to the whole cluster, and this Project to namespace ${project.namespace}`,
      {
        at,
        hint: 'cluster-scoped objects are for Projects in plumbline-system',
      },
    );
  }
  const namespace = object.metadata.namespace;
  if (namespace !== undefined && namespace !== project.namespace) {
    return finding('error', 'OBJECT_NOT_ALLOWED', `metadata.namespace is ${namespace}, and this Project deploys to ${project.namespace}`, {
      at: { ...at, field: '/metadata/namespace' },
      hint: `leave metadata.namespace out, or write ${project.namespace}`,
    });
  }
  return undefined;
}

/** Kinds that CustomResourceDefinitions of the same set will bring: `group/Kind` -> namespaced. */
function kindsBrought(rendered: SourcedObject[]): Map<string, boolean> {
  const brought = new Map<string, boolean>();
  for (const { object } of rendered) {
    if (object.kind !== 'CustomResourceDefinition') continue;
    const spec = object['spec'] as { group?: string; scope?: string; names?: { kind?: string } } | undefined;
    if (spec?.group && spec.names?.kind) brought.set(`${spec.group}/${spec.names.kind}`, spec.scope === 'Namespaced');
  }
  return brought;
}

function kindKey(object: KubeObject): string {
  return `${object.apiVersion.split('/').slice(0, -1).join('/')}/${object.kind}`;
}

function marked(object: KubeObject, project: Project, isNamespaced: boolean): KubeObject {
  const { namespace: _, ...metadata } = object.metadata;
  const labels = { ...metadata.labels, [applySetLabel]: applySetOf(project) };
  const namespace = isNamespaced ? { namespace: object.metadata.namespace ?? project.destination } : {};
  return { ...object, metadata: { ...metadata, ...namespace, labels } as KubeObject['metadata'] };
}

/** A hash of a Secret's values could be guessed offline by whoever may read the inventory. */
function withoutValues(object: KubeObject): KubeObject {
  if (object.kind !== 'Secret') return object;
  const { data: _, stringData: __, ...rest } = object;
  return rest as KubeObject;
}

export function hashOf(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex').slice(0, 16);
}
