/**
 * Models of one operator in the ONNX format (onnx.proto of github.com/onnx/onnx): as much of the messages as these need, by
 * field number.
 */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

const FLOAT = 1;
const INT64 = 7;
const OPSET = 17;
/** Version of the format that came with the operators of opset 17. */
const IR_VERSION = 8;

export interface OnnxNode {
  readonly type: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, number | string | readonly number[]>>;
}

export interface OnnxValue {
  readonly name: string;
  readonly shape: readonly number[];
  readonly integers?: boolean;
}

export interface OnnxConstant {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
}

export interface OnnxGraph {
  readonly nodes: readonly OnnxNode[];
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly constants?: readonly OnnxConstant[];
}

/** ModelProto. Constants are float32; integers are attributes' only. */
export function onnxModel(graph: OnnxGraph): Uint8Array {
  return message((model) => {
    integer(model, 1, IR_VERSION);
    child(model, 7, (g) => {
      for (const [i, node] of graph.nodes.entries()) child(g, 1, (n) => writeNode(n, node, `node${i}`));
      text(g, 2, 'case');
      for (const constant of graph.constants ?? []) child(g, 5, (t) => writeConstant(t, constant));
      for (const value of graph.inputs) child(g, 11, (v) => writeValue(v, value));
      for (const value of graph.outputs) child(g, 12, (v) => writeValue(v, value));
    });
    child(model, 8, (opset) => {
      text(opset, 1, '');
      integer(opset, 2, OPSET);
    });
  });
}

/** NodeProto. */
function writeNode(writer: BinaryWriter, { type, inputs, outputs, attributes = {} }: OnnxNode, name: string): void {
  for (const input of inputs) text(writer, 1, input);
  for (const output of outputs) text(writer, 2, output);
  text(writer, 3, name);
  text(writer, 4, type);
  // AttributeProto: integers, strings and lists of integers, each with its type (2, 3, 7).
  for (const [attribute, value] of Object.entries(attributes))
    child(writer, 5, (a) => {
      text(a, 1, attribute);
      if (typeof value === 'number') integer(a, 3, value);
      else if (typeof value === 'string') text(a, 4, value);
      else for (const element of value) integer(a, 8, element);
      integer(a, 20, typeof value === 'number' ? 2 : typeof value === 'string' ? 3 : 7);
    });
}

/** TensorProto, with its values as little-endian bytes. */
function writeConstant(writer: BinaryWriter, { name, shape, data }: OnnxConstant): void {
  for (const extent of shape) integer(writer, 1, extent);
  integer(writer, 2, FLOAT);
  text(writer, 8, name);
  writer.tag(9, WireType.LengthDelimited).bytes(new Uint8Array(Float32Array.from(data).buffer));
}

/** ValueInfoProto with a TypeProto.Tensor. */
function writeValue(writer: BinaryWriter, { name, shape, integers = false }: OnnxValue): void {
  text(writer, 1, name);
  child(writer, 2, (type) =>
    child(type, 1, (tensor) => {
      integer(tensor, 1, integers ? INT64 : FLOAT);
      child(tensor, 2, (dimensions) => {
        for (const extent of shape) child(dimensions, 1, (dimension) => integer(dimension, 1, extent));
      });
    }),
  );
}

function message(write: (writer: BinaryWriter) => void): Uint8Array {
  const writer = new BinaryWriter();
  write(writer);
  return writer.finish();
}

function child(writer: BinaryWriter, field: number, write: (child: BinaryWriter) => void): void {
  writer.tag(field, WireType.LengthDelimited).fork();
  write(writer);
  writer.join();
}

function text(writer: BinaryWriter, field: number, value: string): void {
  writer.tag(field, WireType.LengthDelimited).string(value);
}

function integer(writer: BinaryWriter, field: number, value: number): void {
  writer.tag(field, WireType.Varint).int64(value);
}
