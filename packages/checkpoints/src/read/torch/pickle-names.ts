// The names that a pickle of torch.save may mention. None of them is ever called: each stands for what the reader does
// itself. Any other name is refused, since a pickle that calls what it likes is how files attack Python.

import { CheckpointError, quoted } from "@polyllama/core";

/** What a name stands for. */
export type Called =
  /** A dict, possibly of given pairs. */
  | "dict"
  /** A tensor of a storage. */
  | "tensor"
  /** A tensor in another wrapping: what is wrapped comes first. */
  | "parameter"
  /** A tensor of a class: how it is made, of which class, of what. */
  | "typed tensor"
  /** A class of tensors that compute as plain ones do. */
  | "tensor class"
  /** Something that stands beside tensors in files of training runs and says nothing about them. */
  | "aside"
  /** A storage's class, which gives the element type as safetensors writes it. */
  | { readonly dtype: string };

/** The element types of PyTorch by the name of their storage class. */
const storages: Readonly<Record<string, string>> = {
  FloatStorage: "F32",
  HalfStorage: "F16",
  BFloat16Storage: "BF16",
  DoubleStorage: "F64",
  LongStorage: "I64",
  IntStorage: "I32",
  ShortStorage: "I16",
  CharStorage: "I8",
  ByteStorage: "U8",
  BoolStorage: "BOOL",
};

const names: Readonly<Record<string, Called>> = {
  "collections.OrderedDict": "dict",
  "collections.defaultdict": "dict",
  "builtins.dict": "dict",
  "__builtin__.dict": "dict",
  "torch._utils._rebuild_tensor": "tensor",
  "torch._utils._rebuild_tensor_v2": "tensor",
  "torch._utils._rebuild_parameter": "parameter",
  "torch._utils._rebuild_parameter_with_state": "parameter",
  "torch._tensor._rebuild_from_type": "typed tensor",
  "torch._tensor._rebuild_from_type_v2": "typed tensor",
  "torch.Tensor": "tensor class",
  "torch.nn.parameter.Parameter": "tensor class",
  "torch.nn.parameter.Buffer": "tensor class",
  "argparse.Namespace": "aside",
  "builtins.set": "aside",
  "__builtin__.set": "aside",
  "builtins.list": "aside",
  "__builtin__.list": "aside",
  "torch.Size": "aside",
  "torch.device": "aside",
  "torch.float32": "aside",
  "torch.float16": "aside",
  "torch.bfloat16": "aside",
  "torch.serialization._get_layout": "aside",
  "numpy.dtype": "aside",
  "numpy.ndarray": "aside",
  "numpy.core.multiarray.scalar": "aside",
  "numpy.core.multiarray._reconstruct": "aside",
  "numpy._core.multiarray.scalar": "aside",
  "numpy._core.multiarray._reconstruct": "aside",
  "_codecs.encode": "aside",
  "datetime.datetime": "aside",
  "datetime.timedelta": "aside",
  "pathlib.PosixPath": "aside",
  "pathlib.WindowsPath": "aside",
};

/** What a name stands for. @throws {CheckpointError} for any that is not known. */
export function calledBy(module: string, name: string, file: string): Called {
  const full = `${module}.${name}`;
  const dtype = module === "torch" && Object.hasOwn(storages, name) ? storages[name] : undefined;
  if (dtype !== undefined) return { dtype };
  if (Object.hasOwn(names, full)) return names[full]!;
  throw new CheckpointError(
    { file },
    `its pickle calls ${quoted(full)}`,
    "Only tensors are read from a pickle, and nothing is called. If you trust the file, save its tensors alone, in Python: " +
      "torch.save({k: v for k, v in torch.load(path, map_location='cpu', weights_only=False).items() if torch.is_tensor(v)}, path), " +
      "or use safetensors.",
  );
}
