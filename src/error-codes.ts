/**
 * Every code a user can meet, with what it means and what to do. `docs/errors.md` is generated from this table.
 * A code is a promise: it is never renamed or reused.
 */
type Explanation = { means: string; fix: string };

export const errorCodes = {
  INTERNAL: {
    means: 'Something happened that Plumbline does not know.',
    fix: 'Run it again; if it stays, open an issue with the message and the log lines before it.',
  },
  CLUSTER_CONFIG: {
    means: 'No usable kubeconfig or service account was found.',
    fix: 'Set KUBECONFIG to a file that works with kubectl, or run inside a pod with a service account.',
  },
  CLUSTER_UNREACHABLE: {
    means: 'The API server did not answer. Nothing was changed.',
    fix: 'Check that the cluster runs and is reachable; the next tick tries again by itself.',
  },
  API_UNAUTHORIZED: {
    means: 'The API server does not accept the credentials.',
    fix: 'Renew the token or kubeconfig; inside a cluster, check that the service account still exists.',
  },
  API_FORBIDDEN: {
    means: 'The account may not do this; the message names verb, kind and namespace.',
    fix: 'Give the account that right by a Role and RoleBinding, or take the object out of Git.',
  },
  API_NOT_FOUND: { means: 'The object is not there.', fix: 'Create it, or correct its name and namespace.' },
  NAMESPACE_NOT_FOUND: {
    means: 'The namespace that an object is for does not exist.',
    fix: 'Create the namespace, or correct metadata.namespace.',
  },
  KIND_NOT_SERVED: {
    means: 'The cluster does not know this apiVersion and kind.',
    fix: 'Install the CustomResourceDefinition first, or correct apiVersion and kind (`kubectl api-resources` lists them).',
  },
  API_INVALID: {
    means: 'The API server refuses the object as it is written; trying again cannot help.',
    fix: 'Correct the field that the message names.',
  },
  API_CONFLICT: {
    means: 'Somebody else holds a field, or the object changed since it was read.',
    fix: 'Read the message: it names the other manager. Remove the field from Git or stop the other writer.',
  },
  API_EXPIRED: { means: "A long list outlived the API server's memory.", fix: 'Nothing to do: it is asked again.' },
  API_THROTTLED: {
    means: 'The API server is overloaded and asked us to wait.',
    fix: 'Nothing to do: it is tried again. If it lasts, look at API priority and fairness.',
  },
  API_SERVER_ERROR: {
    means: 'The API server failed inside. Nothing is known to have changed.',
    fix: "Look at the API server's log; the next tick tries again by itself.",
  },
  RUNNER_NOT_INSTALLED: {
    means: "Plumbline's runner is not installed in this cluster, so nobody would do the work.",
    fix: 'Apply the `deploy/` folder: `kubectl apply -k deploy`.',
  },
  GITHUB_SETTINGS: {
    means: "The GitHub App's id, private key or API address cannot be used as given.",
    fix: "Take both from the App's settings page: the id is a number, the key a PEM file; the address begins with https://.",
  },
  GITHUB_UNREACHABLE: {
    means: 'GitHub did not answer, or answered with an error of its own. Nothing is concluded from it.',
    fix: 'Nothing to do: it is tried again. If it lasts, look at the status page of GitHub and at the way out of the cluster.',
  },
  GITHUB_RATE_LIMITED: {
    means: 'GitHub asked us to wait, or the budget of this installation is used up.',
    fix: 'Nothing to do: it goes on after the time that the message names.',
  },
  GITHUB_UNAUTHORIZED: {
    means: 'GitHub does not accept the credentials of the App.',
    fix: "Check that App id and private key belong together, that the key was not removed, and that this machine's clock is right.",
  },
  GITHUB_FORBIDDEN: {
    means: 'The App lacks a permission, or is suspended; the message names the request.',
    fix: "Compare the App's permissions with app.yml, and accept new permissions on the installation's page.",
  },
  GITHUB_NOT_FOUND: {
    means: 'GitHub has no such thing, or does not show it to this App.',
    fix: "Check the repository's name, and that the App is installed on it.",
  },
  GITHUB_REFUSED: {
    means: 'GitHub refuses the request as it is; the message holds its reason.',
    fix: 'Correct what the reason names. If Plumbline made the value, open an issue.',
  },
  GITHUB_ANSWER_UNEXPECTED: {
    means: 'GitHub answered something that is not what its API describes, such as the page of a proxy.',
    fix: 'Check that the API address is right and that no proxy stands in between.',
  },
  INPUT_INVALID: {
    means: 'An input of the Action holds something that it does not take.',
    fix: 'Write one of the values that the message names.',
  },
  TOOL_MISSING: {
    means: 'A program that Plumbline calls is not on PATH.',
    fix: 'Install the program that the message names.',
  },
  TOOL_TIMED_OUT: {
    means: 'A program that Plumbline calls did not end in time and was stopped.',
    fix: 'Nothing to do at first: it is tried again. If it lasts, look at the network and at the size of the repository.',
  },
  TOOL_OUTPUT_TOO_LARGE: {
    means: 'A program that Plumbline calls wrote more than it may.',
    fix: 'Point spec.source.path to a smaller folder.',
  },
  TOOL_FAILED: {
    means: 'A program that Plumbline calls could not be started, or was ended by a signal.',
    fix: 'Look at the signal: SIGKILL mostly means that memory ran out.',
  },
  GIT_NO_ACCESS: {
    means: 'The repository does not exist, or may not be read with our token; the server does not tell which.',
    fix: 'Grant the GitHub App access to the repository, or correct spec.source.',
  },
  GIT_REF_NOT_FOUND: {
    means: 'The branch or tag is not there.',
    fix: 'Correct spec.source.revision, or push the branch.',
  },
  GIT_COMMIT_NOT_FOUND: {
    means: 'The commit is not there, or not in this clone.',
    fix: 'After a force push nothing is to be done. In a workflow, set `fetch-depth: 2` on actions/checkout.',
  },
  GIT_NO_COMMON_HISTORY: {
    means: 'Two commits share no ancestor, so they have no merge.',
    fix: 'Rebase the branch onto its base.',
  },
  GIT_UNREACHABLE: {
    means: 'The Git server did not answer. Nothing is concluded from it.',
    fix: 'Nothing to do at first: it is tried again. If it lasts, check the way out of the cluster.',
  },
  GIT_NO_CLONE: {
    means: 'The folder is not a Git clone.',
    fix: 'Run actions/checkout before the Action, or change to a clone.',
  },
  GIT_TOO_OLD: { means: 'This git is older than 2.38.', fix: 'Install git 2.38 or newer.' },
  GIT_REF_INVALID: {
    means: 'What should name a commit or ref cannot be one.',
    fix: 'Write a branch, a tag, refs/… or a full commit SHA.',
  },
  GIT_URL_UNSUPPORTED: {
    means: 'The address of a repository is not one that Plumbline fetches.',
    fix: 'Write an https URL, without user and password in it.',
  },
  GIT_FAILED: {
    means: 'git ended with an error that Plumbline does not know.',
    fix: 'Read what git said at the end of the message.',
  },
  PATH_OUTSIDE: {
    means: 'A path leads out of the repository.',
    fix: 'Write a path inside the repository, without `..`.',
  },
  TREE_TOO_LARGE: {
    means: 'A folder holds more manifests than are read at once (5,000 files, 20 MiB).',
    fix: 'Point spec.source.path to a smaller folder, or make several projects.',
  },
  NO_MANIFESTS: {
    means: 'The path holds no YAML or JSON file at this commit. Nothing is deleted because of that.',
    fix: 'Correct spec.source.path, or add the manifests.',
  },
  TYPE_NOT_SUPPORTED: {
    means: 'The folder is of a type that this version of Plumbline does not render.',
    fix: 'Point spec.source.path to a folder of plain Kubernetes manifests.',
  },
  FILE_NOT_READ: {
    means: 'A file is there that is not read: a symlink, a submodule, a Git LFS pointer, too large, or not UTF-8 text.',
    fix: 'Replace it with a plain UTF-8 file of at most 1 MiB.',
  },
  YAML_UNPARSABLE: {
    means: 'A file is not valid YAML or JSON at the line that the message names.',
    fix: 'Correct the line; indentation, a missing quote or a tab are the usual causes.',
  },
  YAML_DUPLICATE_KEY: {
    means: 'A mapping holds the same key twice; Kubernetes would take one and drop the other.',
    fix: 'Remove one of the two.',
  },
  YAML_TOO_COMPLEX: {
    means: 'A file is nested, referenced or repeated beyond what is read (depth 64, 2,000 keys in a mapping, 5,000 documents).',
    fix: 'Split the file, and write out what anchors repeat.',
  },
  YAML_VALUE_AMBIGUOUS: {
    means: 'A value would not arrive in Kubernetes as it is written.',
    fix: 'Quote it when it is meant as text; write numbers within 64 bits.',
  },
  MANIFEST_INVALID: {
    means: 'A document is not a Kubernetes object: apiVersion, kind or metadata are missing or malformed.',
    fix: 'Correct the field that the message names.',
  },
  OBJECT_NAME_INVALID: {
    means: 'A name is not one that Kubernetes accepts.',
    fix: 'Use lower case letters, digits, `-` and `.`; begin and end with a letter or digit.',
  },
  OBJECT_DUPLICATE: {
    means: 'Two documents describe the same object.',
    fix: 'Remove one of them, or rename it.',
  },
  RENDER_FAILED: {
    means: 'The container that renders did not give an answer that can be used.',
    fix: 'Look at the log of the `render` container; a repository that needs too much memory is the usual cause.',
  },
  RENDER_TIMED_OUT: {
    means: 'Rendering took longer than it may.',
    fix: 'Make the folder smaller, or look for files that are extreme in size or nesting.',
  },
  MERGE_CONFLICT: {
    means: 'The pull request cannot be merged into its base.',
    fix: 'Merge or rebase the base into the branch and resolve the conflicts.',
  },
  DIFF_INCOMPLETE: {
    means: 'The diff could not be worked out in full, so the check does not pass.',
    fix: 'Correct what the other messages name; then re-run the check.',
  },
  OBJECT_TWICE: { means: 'The same object is written twice in one source.', fix: 'Keep one of the two.' },
  OBJECT_NOT_ALLOWED: {
    means: 'The object lies outside of what this Project may write: another namespace, the whole cluster, or Projects themselves.',
    fix: 'Leave metadata.namespace out, or let the cluster owner write a Project in plumbline-system for it.',
  },
  OBJECT_OF_ANOTHER_PROJECT: {
    means: 'Another Project has applied this object; two would undo each other for ever.',
    fix: 'Remove it from one of the two.',
  },
  OBJECT_BEING_DELETED: {
    means: 'The object is on its way out, held by finalizers; what is applied now would vanish with it.',
    fix: 'Wait until it is gone, or find out why its finalizers are not removed.',
  },
  FIELD_CONFLICT: {
    means: 'Another manager holds a field that Plumbline never owned.',
    fix: 'Remove the field from Git, or let the other manager give it up.',
  },
  NOTHING_RENDERED: {
    means: 'The source holds no objects although some were applied before. Nothing was deleted.',
    fix: 'Correct spec.source.path; if everything is to go, set syncPolicy.allowEmpty: true.',
  },
  INVENTORY_INCOMPLETE: {
    means: 'A part of the record of what was applied is missing, so nothing is deleted.',
    fix: 'Nothing is lost in the cluster; delete by hand what left Git meanwhile.',
  },
  PROJECT_ACCOUNT_MISSING: {
    means: 'The service account that the Project is applied as does not exist.',
    fix: 'Make it with the two commands in the message.',
  },
  PROJECT_DESTINATION: {
    means: 'Only Projects in plumbline-system may deploy to another namespace.',
    fix: 'Move the Project to the namespace that it deploys to, and leave destination out.',
  },
  REVISION_NOT_FOUND: {
    means: 'The repository has no such branch, tag or commit. Nothing was changed.',
    fix: 'Correct spec.source.revision, or push it.',
  },
  MANIFEST_NOT_FOUND: {
    means: 'The path does not exist at that revision. Nothing was changed.',
    fix: 'Correct spec.source.path; the message names folders that hold manifests.',
  },
  LEASE_HELD: { means: 'Somebody else is working on the same thing.', fix: 'Nothing to do: it is looked at again when they are done.' },
  LEASE_LOST: {
    means: 'The runner could not prove any more that it is the only writer, and stopped before the next write.',
    fix: 'Nothing to do: the next run goes on where this one stopped.',
  },
  API_WARNING: {
    means: 'The API server accepts the object and warns about it: a deprecated API, or pods that admission would refuse.',
    fix: 'Read the warning; it names what to change.',
  },
  APP_SETTINGS: {
    means: 'The App cannot start with this environment; the message names each variable and what is wrong with it.',
    fix: 'Set what the message names. A webhook secret is made with `openssl rand -hex 32`, and is the same in the GitHub App.',
  },
  WEBHOOK_PAYLOAD: {
    means: 'A signed webhook lacks a field that its event has on GitHub, so nothing was started by it.',
    fix: 'Look at the delivery on the page of the GitHub App. The next tick does what the delivery asked for.',
  },
  APP_BUSY: {
    means: 'No Job could be made in time, so the delivery was answered with 503.',
    fix: 'Look at the API server. The next tick does what the delivery asked for.',
  },
  JOB_QUOTA_FULL: {
    means: 'The quota of Jobs in plumbline-system is used up, so the delivery was answered with 503.',
    fix: 'See why Jobs do not end (`kubectl get jobs,pods -n plumbline-system`), or raise the quota plumbline-jobs.',
  },
  GITHUB_NOT_CONFIGURED: {
    means: 'A Project names a repository on GitHub, but the runner has no App to read it with.',
    fix: 'Put appId and privateKey of your GitHub App into the Secret plumbline-github in plumbline-system.',
  },
  TICK_TOO_LONG: {
    means: 'Looking at everything took longer than a tick may last; the rest is looked at by the next one.',
    fix: 'If it is said at every tick, some repository or cluster answers slowly: the log names it.',
  },
  RUNNER_STOPPED: {
    means: 'The runner was told to stop (its node is drained, or its Job ran too long) and recorded how far it came.',
    fix: 'Nothing to do: the next run goes on from there.',
  },
  RUNNER_COMMAND: {
    means: 'The runner was started with words that it does not know.',
    fix: 'Start it as `runner tick`, as the CronJob does.',
  },
} as const satisfies Record<string, Explanation>;

export type ErrorCode = keyof typeof errorCodes;
