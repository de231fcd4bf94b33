/** The pages that the demo shows of its GitHub: pull requests with their checks, as HTML. Pure; whatever it is given is escaped. */

/** `conclusion`: of a completed check. `summary`, `text`: Markdown as a check holds it. */
export type PageCheck = { name: string; status: string; conclusion: string | null; title: string; summary: string; text: string };
export type PagePull = {
  number: number;
  title: string;
  head: string;
  base: string;
  state: 'open' | 'closed' | 'merged';
  checks: PageCheck[];
};
/** `branches`: those without a pull request. */
export type PageRepository = { name: string; branches: string[]; pulls: PagePull[] };

export function repositoryPage({ name, branches, pulls }: PageRepository): string {
  const waits = pulls.some(({ state, checks }) => state === 'open' && !checks.some(({ status }) => status === 'completed'));
  const offers = branches.map(
    (branch) =>
      `<div class="card row"><span>Branch <code>${escaped(branch)}</code> was pushed</span>${button('open', branch, 'Open a pull request')}</div>`,
  );
  const none = pulls.length === 0 && offers.length === 0 ? '<p>No branch and no pull request yet.</p>' : '';
  return document(`${name}`, `<h1>${escaped(name)}</h1>${offers.join('')}${none}${pulls.map(pullCard).join('')}`, waits ? 2 : 10);
}

/** One pull request and nothing else. */
export function pullPage(repository: string, pull: PagePull): string {
  return document(repository, pullCard(pull));
}

function pullCard({ number, title, head, base, state, checks }: PagePull): string {
  const isReady = state === 'open' && checks.length > 0 && checks.every(({ conclusion }) => conclusion === 'success');
  const merge = isReady ? button('merge', String(number), 'Squash and merge') : '';
  const shown = checks.length > 0 ? checks.map(checkCard).join('') : '<div class="check waiting">No check yet</div>';
  return `<section class="card"><header class="row"><div><h2>${escaped(title)} <i>#${number}</i></h2>
<p><b class="state ${state}">${state}</b> <code>${escaped(head)}</code> into <code>${escaped(base)}</code></p></div>${merge}</header>${shown}</section>`;
}

function checkCard({ name, status, conclusion, title, summary, text }: PageCheck): string {
  const verdict = conclusion ?? status;
  const mark = conclusion === 'success' ? '✓' : conclusion === null ? '●' : '✗';
  const tone = conclusion === 'success' ? 'success' : conclusion === null ? 'waiting' : 'failure';
  return `<div class="check ${tone}"><h3><span>${mark}</span> ${escaped(name)} — ${escaped(title)} <i>${escaped(verdict)}</i></h3>${markdown(summary)}${markdown(text)}</div>`;
}

function button(action: string, value: string, label: string): string {
  return `<form method="post" action="/${action}"><button name="value" value="${escaped(value)}">${label}</button></form>`;
}

/** The Markdown that a check of ours is made of: tables, lists, fences, bold, code. */
export function markdown(source: string): string {
  const html: string[] = [];
  const lines = source.split('\n');
  while (lines.length > 0) {
    const line = lines.shift() ?? '';
    const fence = /^(`{3,})(\w*)$/.exec(line);
    if (fence)
      html.push(
        fenced(
          takeWhile(lines, (next) => next !== fence[1]),
          fence[2] ?? '',
        ),
        ...lines.splice(0, 1).map(() => ''),
      );
    else if (line.startsWith('| ')) html.push(table([line, ...takeWhile(lines, (next) => next.startsWith('|'))]));
    else if (line.startsWith('- ')) {
      const items = [line, ...takeWhile(lines, (next) => next.startsWith('- '))];
      html.push(`<ul>${items.map((item) => `<li>${inline(item.slice(2))}</li>`).join('')}</ul>`);
    } else if (line.trim() !== '') html.push(`<p>${inline(line)}</p>`);
  }
  return html.join('');
}

function takeWhile(lines: string[], isWanted: (line: string) => boolean): string[] {
  const end = lines.findIndex((line) => !isWanted(line));
  return lines.splice(0, end < 0 ? lines.length : end);
}

function fenced(lines: string[], language: string): string {
  const tone = (line: string) => ({ '+': 'added', '-': 'removed', '@': 'place' })[line.charAt(0)] ?? 'same';
  const rows = lines.map((line) => (language === 'diff' ? `<span class="${tone(line)}">${escaped(line)}\n</span>` : `${escaped(line)}\n`));
  return `<pre>${rows.join('')}</pre>`;
}

function table([head = '', , ...rows]: string[]): string {
  const cells = (line: string, tag: string) =>
    line
      .slice(1, -1)
      .split(/(?<!\\)\|/)
      .map((cell) => `<${tag}>${inline(cell.trim())}</${tag}>`)
      .join('');
  return `<table><tr>${cells(head, 'th')}</tr>${rows.map((row) => `<tr>${cells(row, 'td')}</tr>`).join('')}</table>`;
}

function inline(text: string): string {
  return escaped(text)
    .replace(/(`+)(.+?)\1/g, '<code>$2</code>')
    .replace(/\*\*(.+?)\*\*/g, '<b>$1</b>');
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);
}

const style = `body{font:14px/1.5 -apple-system,"Segoe UI","Liberation Sans",sans-serif;color:#1f2328;max-width:900px;margin:16px auto;padding:0 16px}
h1{font-size:20px}h2{font-size:17px;margin:0}h3{font-size:14px;margin:0 0 8px}i{font-style:normal;color:#59636e;font-weight:400}p{margin:6px 0}
.card{border:1px solid #d1d9e0;border-radius:6px;padding:14px 16px;margin:12px 0}.row{display:flex;justify-content:space-between;align-items:center;gap:12px}
.state{color:#fff;border-radius:12px;padding:2px 10px;font-size:12px;font-weight:500}.open{background:#1a7f37}.merged{background:#8250df}.closed{background:#cf222e}
.check{border-top:1px solid #d1d9e0;margin-top:12px;padding-top:12px}.success h3 span{color:#1a7f37}.failure h3 span{color:#cf222e}.waiting{color:#9a6700}
code{background:#eff1f3;border-radius:4px;padding:1px 5px}code,pre{font:12px/1.5 "Liberation Mono",ui-monospace,monospace}
pre{background:#f6f8fa;border-radius:6px;padding:10px 0;margin:8px 0;overflow:auto}pre:not(:has(span)){padding:10px 12px}pre span{display:block;padding:0 12px;height:18px}
.added{background:#dafbe1}.removed{background:#ffebe9}.place{color:#59636e}table{border-collapse:collapse;margin:8px 0}th,td{border:1px solid #d1d9e0;padding:4px 10px;text-align:left}
button{background:#1f883d;color:#fff;border:0;border-radius:6px;padding:6px 14px;font:inherit;font-weight:500;cursor:pointer}`;

function document(title: string, body: string, refreshSeconds?: number): string {
  const refresh = refreshSeconds === undefined ? '' : `<meta http-equiv="refresh" content="${refreshSeconds}">`;
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${escaped(title)}</title>${refresh}<style>${style}</style></head><body>${body}</body></html>\n`;
}
