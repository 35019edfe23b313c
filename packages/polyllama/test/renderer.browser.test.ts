// Templates in a page: the same worker, started as a page starts workers.

import { expect, test } from "vitest";
import { renderJinja } from "../src/chat/renderer.ts";

const render = (template: string): Promise<string> => renderJinja({ template, variables: { x: "there" }, now: 0 });

test("a template renders, one that loops is stopped, and the next one renders", async () => {
  expect(await render("{{ x | upper }}")).toBe("THERE");
  const loops = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}";
  await expect(render(loops)).rejects.toMatchObject({ code: "ERR_CHAT" });
  expect(await render("{{ x }}")).toBe("there");
});
