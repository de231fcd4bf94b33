import { describe, expect, test } from '@jest/globals';
import { markdown, type PageCheck, repositoryPage } from '../../scripts/page.ts';

const check = (more: Partial<PageCheck> = {}): PageCheck => ({
  name: 'plumbline',
  status: 'completed',
  conclusion: 'success',
  title: '1 changed',
  summary: '',
  text: '',
  ...more,
});
const pull = (checks: PageCheck[]) => ({ number: 7, title: 'A change', head: 'change', base: 'main', state: 'open' as const, checks });
const page = (checks: PageCheck[]) => repositoryPage({ name: 'acme/shop', branches: [], pulls: [pull(checks)] });

describe('the page of the demo', () => {
  test.each([
    ['**bold** and `code`', '<p><b>bold</b> and <code>code</code></p>'],
    [
      '| a | b |\n| --- | --- |\n| 1 | `x\\|y` |',
      '<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td><code>x\\|y</code></td></tr></table>',
    ],
    ['- one\n- two\n\nend', '<ul><li>one</li><li>two</li></ul><p>end</p>'],
    [
      '```diff\n-a\n+b\n c\n```\nafter',
      '<pre><span class="removed">-a\n</span><span class="added">+b\n</span><span class="same"> c\n</span></pre><p>after</p>',
    ],
    ['````text\n```\n````', '<pre>```\n</pre>'],
    ['```text\nnever closed', '<pre>never closed\n</pre>'],
  ])('reads %j', (source, html) => {
    expect(markdown(source)).toBe(html);
  });

  test('shows whatever a repository is called or holds as text', () => {
    const evil = '<script>alert("1")</script>';
    const shown = repositoryPage({
      name: evil,
      branches: [`"><img src=x>${evil}`],
      pulls: [{ ...pull([check({ title: evil, summary: `**${evil}**`, text: `\`\`\`diff\n${evil}\n\`\`\`` })]), title: evil, head: evil }],
    });
    expect(shown).not.toMatch(/<(script|img)/);
    expect(shown).toContain('&#60;script&#62;');
  });

  test('offers to merge only what has passed', () => {
    expect(page([check()])).toContain('action="/merge"');
    for (const checks of [[], [check({ conclusion: 'failure' })], [check({ status: 'in_progress', conclusion: null })]])
      expect(page(checks)).not.toContain('action="/merge"');
  });
});
