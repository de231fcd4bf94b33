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
} as const satisfies Record<string, Explanation>;

export type ErrorCode = keyof typeof errorCodes;
