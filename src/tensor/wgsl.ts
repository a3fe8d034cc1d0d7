/**
 * The shader loader: replaces what lines tagged `// @param` define, and reads from the text what the host has to know of
 * it: the members of `struct Uniforms` and how each binding is accessed. A shader is valid as it stands, so a tagged
 * line holds a default, which is one of
 *
 *     const TILE: u32 = 64u;  // @param
 *     alias Stored = vec4f;  // @param
 *     fn widen(v: Stored) -> vec4f { return v; }  // @param
 *
 * of which the number, the type and the expression that is returned are replaced.
 */

export interface Shader {
  readonly code: string;
  /** Access of `@binding(1)`, `@binding(2)`, ... */
  readonly storage: readonly ('read' | 'read_write')[];
  /** Members of `struct Uniforms` in order; empty if there is none. */
  readonly uniforms: readonly UniformMember[];
}

export interface UniformMember {
  readonly name: string;
  readonly type: 'f32' | 'i32' | 'u32';
}

export type Constants = Readonly<Record<string, number | boolean | string>>;

const PARAM = /^[ \t]*(const|alias)\s+(\w+)\s*(?::\s*(\w+)\s*)?=\s*([^;]+);\s*\/\/\s*@param.*$/gm;
const FUNCTION = /^([ \t]*fn\s+(\w+)\([^)]*\)\s*->\s*[\w<>]+\s*\{\s*return\s+)[^;]+(;\s*\})\s*\/\/\s*@param.*$/gm;
const BINDING = /@group\(0\)\s*@binding\((\d+)\)\s*var<(uniform|storage)(?:\s*,\s*(\w+))?>/g;
const UNIFORMS = /struct\s+Uniforms\s*\{([^}]*)\}/;
const MEMBER = /(\w+)\s*:\s*(\w+)/;

const cache = new Map<string, Shader>();

/** Specialises a shader source. Throws on a constant the source does not declare. */
export function specialize(source: string, constants: Constants = {}): Shader {
  const key = `${JSON.stringify(constants)}\n${source}`;
  let shader = cache.get(key);
  if (!shader) {
    const code = substitute(source, constants);
    shader = { code, storage: readBindings(code), uniforms: readUniforms(code) };
    cache.set(key, shader);
  }
  return shader;
}

function substitute(source: string, constants: Constants): string {
  const unused = new Set(Object.keys(constants));
  const replacement = (name: string) => {
    unused.delete(name);
    return constants[name];
  };
  const code = source
    .replace(PARAM, (line, keyword: string, name: string, type: string | undefined) => {
      const value = replacement(name);
      return value === undefined ? line : `${keyword} ${name}${type ? `: ${type}` : ''} = ${literal(value, type)};`;
    })
    .replace(FUNCTION, (line, head: string, name: string, tail: string) => {
      const value = replacement(name);
      return value === undefined ? line : `${head}${value}${tail}`;
    });
  if (unused.size > 0)
    throw new Error(
      `shader has no line tagged "// @param" for ${[...unused].join(', ')}; it starts: ${firstLine(source)}`,
    );
  return code;
}

function literal(value: number | boolean | string, type: string | undefined): string {
  if (typeof value !== 'number') return String(value);
  if (type === 'u32') return `${value}u`;
  if (type === 'i32') return `${value}i`;
  if (type === 'f32') return floatLiteral(value);
  throw new Error(`a number was given for a parameter of type ${type ?? 'alias'}`);
}

/** A WGSL f32 literal of exactly `Math.fround(value)`. */
export function floatLiteral(value: number): string {
  const rounded = Math.fround(value);
  if (!Number.isFinite(rounded)) throw new Error(`${value} can't be written as a WGSL literal`);
  const text = String(rounded);
  return /[.e]/.test(text) ? `${text}f` : `${text}.0f`;
}

function readBindings(code: string): ('read' | 'read_write')[] {
  const storage: ('read' | 'read_write')[] = [];
  for (const [, index, kind, access] of code.matchAll(BINDING)) {
    if (kind === 'storage') storage[Number(index) - 1] = access === 'read_write' ? 'read_write' : 'read';
    else if (index !== '0') throw new Error(`the uniform block belongs at @binding(0): ${firstLine(code)}`);
  }
  for (let i = 0; i < storage.length; i++)
    if (!storage[i]) throw new Error(`@binding(${i + 1}) is missing: ${firstLine(code)}`);
  return storage;
}

function readUniforms(code: string): UniformMember[] {
  const body = UNIFORMS.exec(code)?.[1];
  if (body === undefined) return [];
  const members: UniformMember[] = [];
  for (const part of body.replace(/\/\/.*$/gm, '').split(',')) {
    const match = MEMBER.exec(part);
    if (!match) continue;
    const [, name, type] = match;
    if (type !== 'f32' && type !== 'i32' && type !== 'u32')
      throw new Error(`struct Uniforms: ${name} is ${type}; only f32, i32 and u32 are supported`);
    members.push({ name: name!, type });
  }
  return members;
}

/** Packs values by name into the bytes of `struct Uniforms`. Throws on unknown and on missing names. */
export function packUniforms(shader: Shader, values: Readonly<Record<string, number>> = {}): ArrayBuffer {
  const bytes = new ArrayBuffer(Math.ceil((shader.uniforms.length * 4) / 16) * 16);
  const view = new DataView(bytes);
  const unused = new Set(Object.keys(values));
  for (const [index, { name, type }] of shader.uniforms.entries()) {
    const value = values[name];
    if (value === undefined) throw new Error(`uniform ${name} is missing`);
    unused.delete(name);
    if (type === 'f32') view.setFloat32(index * 4, value, true);
    else if (!Number.isInteger(value)) throw new Error(`uniform ${name}: ${value} is not an integer`);
    else if (type === 'i32') view.setInt32(index * 4, value, true);
    else view.setUint32(index * 4, value, true);
  }
  if (unused.size > 0) throw new Error(`struct Uniforms has no member ${[...unused].join(', ')}`);
  return bytes;
}

function firstLine(code: string): string {
  return code.trimStart().split('\n', 1)[0]!;
}
