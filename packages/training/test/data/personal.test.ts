import { describe, expect, test } from "vitest";
import { findPersonalData, maskPersonalData } from "../../src/data/personal.ts";
import { createCleaner, reportLines } from "../../src/index.ts";

const found = (text: string): readonly string[] =>
  findPersonalData(text).map(({ kind, start, end }) => `${kind}: ${text.slice(start, end)}`);

describe("personal data", () => {
  test.each([
    ["write to jane.doe+x@mail.example.co.uk, please", "mail address: jane.doe+x@mail.example.co.uk"],
    ["ｊａｎｅ＠ｅｘａｍｐｌｅ．ｃｏｍ", "mail address: ｊａｎｅ＠ｅｘａｍｐｌｅ．ｃｏｍ"],
    ["call +44 20 7946 0958.", "phone number: +44 20 7946 0958"],
    ["call +8613800138000.", "phone number: +8613800138000"],
    ["电话13800138000。", "phone number: 13800138000"],
    ["手机：138-0013-8000", "phone number: 138-0013-8000"],
    ["电话010-62345678", "phone number: 010-62345678"],
    ["call (212) 555-0143 now", "phone number: (212) 555-0143"],
    ["call 1-212-555-0143", "phone number: 1-212-555-0143"],
    ["身份证11010519491231002X号", "resident identity number: 11010519491231002X"],
    ["号码440524188001010014。", "resident identity number: 440524188001010014"],
    ["SSN 078-05-1120.", "social security number: 078-05-1120"],
    ["card 4111 1111 1111 1111", "card number: 4111 1111 1111 1111"],
    ["card 378282246310005", "card number: 378282246310005"],
    ["at 192.168.0.254:80", "IP address: 192.168.0.254"],
  ])("%s", (text, expected) => {
    expect(found(text)).toEqual([expected]);
  });

  test.each([
    ["no domain: jane@home"],
    ["wrong checksum: 110105194912310021"],
    ["no date: 11010519491331002X"],
    ["card with a wrong digit: 4111 1111 1111 1112"],
    ["all zeros: 0000 0000 0000 0000"],
    ["no such social security numbers: 000-12-3456, 666-12-3456, 912-12-3456, 123-00-4567, 123-45-0000"],
    ["a version: 1.2.3.4.5"],
    ["no address: 256.1.1.1"],
    ["years: 1914-1918, 1939-1945"],
    ["pi: 3.14159265358979"],
    ["a longer number: 9138001380001234567890"],
    ["卷三百一十七，第13页"],
  ])("none in: %s", (text) => {
    expect(found(text)).toEqual([]);
  });

  test("long runs that are nearly addresses take no time", () => {
    const began = performance.now();
    for (const text of [
      "a".repeat(200_000),
      `${"a.".repeat(100_000)}@`,
      `a@${"b.".repeat(100_000)}`,
      "1 ".repeat(100_000),
    ]) {
      found(text);
    }
    expect(performance.now() - began).toBeLessThan(5000);
  });

  test("masks name what was there", () => {
    const text = "a@b.org or 13800138000!";
    expect(maskPersonalData(text, findPersonalData(text))).toBe("[mail address] or [phone number]!");
  });
});

describe("cleaning", () => {
  const texts = ["one text", "ONE TEXT", "ask a@b.org", "ask b@c.org and d@e.org or +44 20 7946 0958", "another text"];

  test("leaves out duplicates and texts with personal data, and reports them", () => {
    const cleaner = createCleaner();
    expect(texts.map((text) => cleaner.clean(text))).toEqual([
      "one text",
      undefined,
      undefined,
      undefined,
      "another text",
    ]);
    expect(cleaner.report).toEqual({
      texts: 5,
      kept: 2,
      removed: { "exact duplicate": 1, "near duplicate": 0, "personal data": 2 },
      masked: 0,
      personal: {
        "mail address": { found: 3, texts: 2, examples: ["a@*.***", "b@*.***", "d@*.***"] },
        "phone number": { found: 1, texts: 1, examples: ["+** ** **** ****"] },
      },
    });
    expect(reportLines(cleaner.report)).toEqual([
      "5 texts, 2 (40.00 %) kept",
      "1 (20.00 %) removed: exact duplicate",
      "0 (0.00 %) removed: near duplicate",
      "2 (40.00 %) removed: personal data",
      "mail address: 3 in 2 texts, such as a@*.***, b@*.***, d@*.***",
      "phone number: 1 in 1 texts, such as +** ** **** ****",
    ]);
  });

  test("masks on request, or does not look", () => {
    const masking = createCleaner({ personal: "mask" });
    expect(masking.clean("ask a@b.org")).toBe("ask [mail address]");
    expect(masking.report).toMatchObject({ kept: 1, masked: 1, removed: { "personal data": 0 } });
    const keeping = createCleaner({ personal: "keep" });
    expect(keeping.clean("ask a@b.org")).toBe("ask a@b.org");
    expect(keeping.report).toMatchObject({ kept: 1, masked: 0, personal: {} });
  });

  test("compares by a part of the text", () => {
    const cleaner = createCleaner();
    expect(cleaner.clean("title\nbody", "body")).toBe("title\nbody");
    expect(cleaner.clean("other title\nbody", "body")).toBeUndefined();
  });
});
