/** The change that the demo's pull request makes to `examples/shop`. */
export function changed(manifest: string): string {
  return manifest.replace('v1.4.1', 'v1.4.2').replace('replicas: 2', 'replicas: 3');
}
