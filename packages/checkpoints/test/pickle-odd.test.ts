// What torch.save makes of a Llama's tensors beside the usual: parameters, classes of tensors, dicts of other classes,
// tensors under a name of their own beside what a training run needs. It is read where nothing becomes wrong, and never
// executed.

import { describe, expect, test } from "vitest";
import { memorySource, openCheckpoint } from "../src/index.ts";
import { calledBy } from "../src/read/torch/pickle-names.ts";
import { readTorchFile } from "../src/read/torch/torch-file.ts";
import { failure, folderWith, huggingFaceConfig, huggingFaceTensors, type RawTensor, small } from "./support.ts";
import { pickler, torchFile } from "./torch-writer.ts";

type Pickler = ReturnType<typeof pickler>;
type Protocol = Parameters<typeof pickler>[0];

/** The arguments of a tensor: storage, offset, shape, strides, whether it needs a gradient, hooks. */
function tensorArguments(p: Pickler, { shape, bytes }: RawTensor, index: number, more = ""): void {
  p.bytes("((");
  p.text("storage");
  p.name("torch", "FloatStorage");
  p.text(String(index));
  p.text("cpu");
  p.integer(bytes.length / 4);
  p.bytes("tQ");
  p.integer(0);
  p.integers(shape);
  p.integers(shape.map((_, i) => shape.slice(i + 1).reduce((product, size) => product * size, 1)));
  p.bytes("\x89");
  p.name("collections", "OrderedDict");
  p.bytes(`)R${more}t`);
}

type How = (p: Pickler, tensor: RawTensor, index: number) => void;

const plain: How = (p, tensor, index) => {
  p.name("torch._utils", "_rebuild_tensor_v2");
  tensorArguments(p, tensor, index);
  p.bytes("R");
};
const wrapped =
  (before: (p: Pickler) => void, after: (p: Pickler) => void): How =>
  (p, tensor, index) => {
    before(p);
    plain(p, tensor, index);
    after(p);
  };
const hooks = (p: Pickler) => {
  p.bytes("\x88"); // needs a gradient
  p.name("collections", "OrderedDict");
  p.bytes(")R");
};
const typed =
  (name: string, ofModule: string, ofName: string): How =>
  (p, tensor, index) => {
    p.name("torch._tensor", name);
    p.bytes("(");
    p.name("torch._utils", "_rebuild_tensor_v2");
    p.name(ofModule, ofName);
    tensorArguments(p, tensor, index);
    p.bytes("}");
    p.text("note");
    p.bytes("K\x01stR");
  };

const ways: Readonly<Record<string, How>> = {
  "tensors of PyTorch 0.4": (p, tensor, index) => {
    p.name("torch._utils", "_rebuild_tensor");
    tensorArguments(p, tensor, index);
    p.bytes("R");
  },
  parameters: wrapped(
    (p) => {
      p.name("torch._utils", "_rebuild_parameter");
      p.bytes("(");
    },
    (p) => {
      hooks(p);
      p.bytes("tR");
    },
  ),
  "parameters with attributes": wrapped(
    (p) => {
      p.name("torch._utils", "_rebuild_parameter_with_state");
      p.bytes("(");
    },
    (p) => {
      hooks(p);
      p.bytes("}");
      p.text("tag");
      p.bytes("K\x01stR");
    },
  ),
  "tensors with attributes": typed("_rebuild_from_type_v2", "torch", "Tensor"),
  "parameters by their class": typed("_rebuild_from_type_v2", "torch.nn.parameter", "Parameter"),
  "parameters by their class, older": typed("_rebuild_from_type", "torch.nn.parameter", "Parameter"),
  "tensors with empty metadata": (p, tensor, index) => {
    p.name("torch._utils", "_rebuild_tensor_v2");
    tensorArguments(p, tensor, index, "}");
    p.bytes("R");
  },
};

/** A pickle of a dict of tensors; `around` writes what stands before and behind it. */
function pickled(
  tensors: readonly RawTensor[],
  {
    how = plain,
    protocol = 2 as Protocol,
    dict = (p: Pickler) => p.bytes("}"),
    before = (_: Pickler) => {},
    after = (_: Pickler) => {},
  } = {},
): Uint8Array {
  const p = pickler(protocol);
  before(p);
  dict(p);
  p.bytes("(");
  for (const [index, tensor] of tensors.entries()) {
    p.text(tensor.name);
    how(p, tensor, index);
  }
  p.bytes("u");
  after(p);
  p.bytes(".");
  return p.finish();
}

const tensors = huggingFaceTensors(small);

async function opened(pickle: Uint8Array, more: Readonly<Record<string, string>> = {}) {
  const file = await torchFile(tensors, { pickle });
  const config = JSON.stringify(huggingFaceConfig(small));
  return openCheckpoint(await folderWith({ "pytorch_model.bin": file, "config.json": config, ...more }));
}

async function refusal(pickle: Uint8Array): Promise<string> {
  return (await failure(readTorchFile(memorySource("m.bin", await torchFile(tensors, { pickle }))))).message;
}

async function expectWhole(checkpoint: Awaited<ReturnType<typeof opened>>): Promise<void> {
  const norm = tensors.find(({ name }) => name === "model.norm.weight")!;
  expect(Buffer.compare(await checkpoint.read("norm.weight"), norm.bytes)).toBe(0);
  expect(checkpoint.stored.length).toBe(tensors.length);
}

describe.each([2, 4] as const)("read, in protocol %i", (protocol) => {
  test.each(Object.entries(ways))("%s", async (_, how) => {
    await using checkpoint = await opened(pickled(tensors, { how, protocol }));
    await expectWhole(checkpoint);
    expect(checkpoint.notices).toEqual([]);
  });
});

test("sizes of storages as long integers", async () => {
  const long = (value: number): string => {
    const little = Buffer.alloc(5);
    little.writeUIntLE(value, 0, 5);
    return `\x8a\x05${little.toString("latin1")}`;
  };
  const how: How = (p, tensor, index) => plain({ ...p, integer: (value) => p.bytes(long(value)) }, tensor, index);
  await using checkpoint = await opened(pickled(tensors, { how }));
  await expectWhole(checkpoint);
});

describe("dicts", () => {
  test("an OrderedDict of pairs", async () => {
    const p = pickler(2);
    p.name("collections", "OrderedDict");
    p.bytes("(](");
    for (const [index, tensor] of tensors.entries()) {
      p.bytes(index % 2 === 0 ? "](" : "("); // lists and tuples
      p.text(tensor.name);
      plain(p, tensor, index);
      p.bytes(index % 2 === 0 ? "e" : "t");
    }
    p.bytes("etR.");
    await using checkpoint = await opened(p.finish());
    await expectWhole(checkpoint);
  });

  test.each<[string, (p: Pickler) => void]>([
    [
      "an OrderedDict of no pairs",
      (p) => {
        p.name("collections", "OrderedDict");
        p.bytes("(]tR");
      },
    ],
    [
      "a defaultdict",
      (p) => {
        p.name("collections", "defaultdict");
        p.bytes("(");
        p.name("__builtin__", "dict");
        p.bytes("tR");
      },
    ],
    [
      "an instance of OrderedDict",
      (p) => {
        p.name("collections", "OrderedDict");
        p.bytes(")\x81");
      },
    ],
  ])("%s", async (_, dict) => {
    await using checkpoint = await opened(pickled(tensors, { dict }));
    await expectWhole(checkpoint);
  });

  test.each(["state_dict", "model_state_dict", "model", "module"])(
    "tensors under %s, beside a training run's",
    async (key) => {
      const pickle = pickled(tensors, {
        before: (p) => {
          p.bytes("}(");
          p.text("epoch");
          p.bytes("K\x03");
          p.text("args");
          p.name("argparse", "Namespace");
          p.bytes(")\x81}");
          p.text("lr");
          p.bytes("K\x01sb");
          p.text("optimizer");
          p.bytes("}");
          p.text("state");
          p.bytes("}s");
          p.text(key);
        },
        after: (p) => p.bytes("u"),
      });
      await using checkpoint = await opened(pickle);
      await expectWhole(checkpoint);
      expect(checkpoint.notices).toEqual([
        `The tensors stand under "${key}"; passed over beside them: "epoch", "args", "optimizer".`,
      ]);
    },
  );

  test("numbers and texts among the tensors are passed over", async () => {
    const pickle = pickled(tensors, {
      after: (p) => {
        p.bytes("(");
        p.text("step");
        p.bytes("K\x07");
        p.text("note\n");
        p.text("x");
        p.bytes("u");
      },
    });
    await using checkpoint = await opened(pickle);
    await expectWhole(checkpoint);
    expect(checkpoint.notices).toEqual(['Passed over what is no tensor: "step", "note\\n".']);
  });

  test.each(["module.", "_orig_mod.", "module._orig_mod.", "base_model.model.", "model."])(
    "names that all begin with %s",
    async (prefix) => {
      const pickle = pickled(tensors.map((tensor) => ({ ...tensor, name: prefix + tensor.name })));
      await using checkpoint = await opened(pickle);
      await expectWhole(checkpoint);
    },
  );
});

describe("refused, and nothing is called", () => {
  test.each([
    ["os", "system"],
    ["posix", "system"],
    ["builtins", "eval"],
    ["builtins", "getattr"],
    ["torch", "load"],
    ["torch._utils", "_rebuild_sparse_tensor"],
    ["torch._utils", "_rebuild_qtensor"],
    ["torch._utils", "_rebuild_wrapper_subclass"],
    ["mine", "OrderedDict"],
    ["constructor", "prototype"],
  ])("%s.%s", (module, name) => {
    expect(() => calledBy(module, name, "m.bin")).toThrow(
      `its pickle calls "${module}.${name}". Only tensors are read`,
    );
  });

  test.each<[string, How, RegExp]>([
    [
      "a class of tensors of its own",
      typed("_rebuild_from_type_v2", "argparse", "Namespace"),
      /a tensor is of an unknown class/,
    ],
    [
      "a negated tensor",
      (p, tensor, index) => {
        p.name("torch._utils", "_rebuild_tensor_v2");
        tensorArguments(p, tensor, index, "}X\x03\x00\x00\x00neg\x88s");
        p.bytes("R");
      },
      /a tensor is conjugated, negated or otherwise marked/,
    ],
    [
      "something else than a storage",
      (p, tensor, index) => {
        const text = (value: string) => p.text(value === "storage" ? "module" : value);
        plain({ ...p, text }, tensor, index);
      },
      /this is no storage/,
    ],
    [
      "a parameter of nothing",
      (p) => {
        p.name("torch._utils", "_rebuild_parameter");
        p.bytes("(NtR");
      },
      /a parameter is no tensor/,
    ],
    [
      "a class that is called",
      (p) => {
        p.name("torch", "Tensor");
        p.bytes(")R");
      },
      /a class of tensors is called/,
    ],
  ])("%s", async (_, how, message) => {
    expect(await refusal(pickled(tensors.slice(0, 1), { how }))).toMatch(message);
  });

  test("two dicts of tensors", async () => {
    const pickle = pickled(tensors.slice(0, 1), {
      before: (p) => {
        p.bytes("}(");
        p.text("model");
      },
      after: (p) => {
        p.text("state_dict");
        p.bytes("}");
        p.text("x");
        plain(p, tensors[1]!, 1);
        p.bytes("su");
      },
    });
    expect(await refusal(pickle)).toMatch(/it holds tensors under "model" and "state_dict", not a dict of tensors/);
  });

  test("a dict that is made of one list again and again", async () => {
    const p = pickler(2);
    p.bytes("](");
    for (let i = 0; i < 300; i++) p.bytes("NN\x86");
    p.bytes("eq\x050");
    p.name("collections", "OrderedDict");
    p.bytes("q\x010");
    for (let i = 0; i < 1000; i++) p.bytes("h\x01h\x05\x85R0");
    p.bytes("}.");
    expect(await refusal(p.finish())).toMatch(/more than 262144 values/);
  });
});
