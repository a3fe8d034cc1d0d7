/**
 * Reads Python pickles (protocols 1 to 5; every opcode is described in CPython's Lib/pickletools.py) and runs nothing
 * that they name: a pickle is a program for a machine with a stack, and of its opcodes those are here that `torch.save`
 * writes. What it may call is a table of functions of ours, by Python's name; anything else ends it.
 *
 * Lists and tuples become arrays, dictionaries Maps, so that no key can reach a prototype. Every opcode takes time and
 * memory in proportion to its own bytes, so reading cannot grow; but the value may share parts and contain itself, so
 * whoever walks it must count.
 */
import { PickleError } from './pickle_bytes.js';
import { type PickleHost, PickleMachine, setItems } from './pickle_machine.js';

/**
 * The value of the pickle at `start`, and where it ends.
 *
 * @throws PickleError with the position of the opcode at fault, PickleEnd where bytes are missing
 */
export function unpickle(
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  host: PickleHost,
): { readonly value: unknown; readonly end: number } {
  const machine = new PickleMachine(bytes, start, host);
  const { input } = machine;
  for (;;) {
    const position = input.position;
    try {
      const opcode = input.u8();
      if (opcode === STOP) return { value: machine.pop(), end: input.position };
      const value = VALUES.get(opcode);
      if (value) {
        machine.push(value(machine));
        continue;
      }
      const action = ACTIONS.get(opcode);
      if (!action)
        throw new PickleError(
          `has the opcode 0x${opcode.toString(16).padStart(2, '0')}, which torch.save never writes`,
        );
      action(machine);
    } catch (error) {
      if (error instanceof PickleError) error.position ??= position;
      throw error;
    }
  }
}

const STOP = 0x2e;

/** Opcodes that push a value. */
const VALUES: ReadonlyMap<number, (machine: PickleMachine) => unknown> = new Map([
  [0x4e /* NONE */, () => null],
  [0x88 /* NEWTRUE */, () => true],
  [0x89 /* NEWFALSE */, () => false],
  [0x49 /* INT, which protocol 1 writes booleans with */, intOrBoolean],
  [0x4c /* LONG */, ({ input }) => input.decimal(input.line().replace(/L$/, ''))],
  [0x4b /* BININT1 */, ({ input }) => input.u8()],
  [0x4d /* BININT2 */, ({ input }) => input.u16()],
  [0x4a /* BININT */, ({ input }) => input.i32()],
  [0x8a /* LONG1 */, ({ input }) => input.long(input.u8())],
  [0x8b /* LONG4 */, ({ input }) => input.long(input.u32())],
  [0x47 /* BINFLOAT */, ({ input }) => input.f64()],

  [0x8c /* SHORT_BINUNICODE */, ({ input }) => input.text(input.u8())],
  [0x58 /* BINUNICODE */, ({ input }) => input.text(input.u32())],
  [0x8d /* BINUNICODE8 */, ({ input }) => input.text(input.u64())],
  [0x55 /* SHORT_BINSTRING, a text of Python 2 */, ({ input }) => input.text(input.u8())],
  [0x54 /* BINSTRING */, ({ input }) => input.text(input.u32())],
  [0x43 /* SHORT_BINBYTES */, ({ input }) => input.bytes(input.u8())],
  [0x42 /* BINBYTES */, ({ input }) => input.bytes(input.u32())],
  [0x8e /* BINBYTES8 */, ({ input }) => input.bytes(input.u64())],
  [0x96 /* BYTEARRAY8 */, ({ input }) => input.bytes(input.u64())],

  [0x29 /* EMPTY_TUPLE */, () => []],
  [0x85 /* TUPLE1 */, (machine) => machine.popSome(1)],
  [0x86 /* TUPLE2 */, (machine) => machine.popSome(2)],
  [0x87 /* TUPLE3 */, (machine) => machine.popSome(3)],
  [0x74 /* TUPLE */, (machine) => machine.popMark()],
  [0x5d /* EMPTY_LIST */, () => []],
  [0x6c /* LIST */, (machine) => machine.popMark()],
  [0x7d /* EMPTY_DICT */, () => new Map()],
  [0x64 /* DICT */, (machine) => setItems(new Map(), machine.popMark())],
  [0x8f /* EMPTY_SET */, () => new Set()],
  [0x91 /* FROZENSET */, (machine) => new Set(machine.popMark())],

  [0x32 /* DUP */, (machine) => machine.top()],
  [0x68 /* BINGET */, (machine) => machine.recall(machine.input.u8())],
  [0x6a /* LONG_BINGET */, (machine) => machine.recall(machine.input.u32())],

  [0x63 /* GLOBAL */, (machine) => machine.global(machine.input.line(), machine.input.line())],
  [0x93 /* STACK_GLOBAL */, stackGlobal],
  [0x52 /* REDUCE */, call],
  [0x81 /* NEWOBJ */, call],
  [0x51 /* BINPERSID */, (machine) => machine.persistent(machine.pop())],
]);

/** Opcodes that don't. */
const ACTIONS: ReadonlyMap<number, (machine: PickleMachine) => void> = new Map([
  [0x80 /* PROTO */, requireProtocol],
  [0x95 /* FRAME: its length only helps to read ahead */, ({ input }) => void input.u64()],
  [0x28 /* MARK */, (machine) => machine.mark()],
  [0x30 /* POP */, (machine) => void machine.pop()],
  [0x31 /* POP_MARK */, (machine) => void machine.popMark()],
  [0x71 /* BINPUT */, (machine) => machine.keep(machine.input.u8())],
  [0x72 /* LONG_BINPUT */, (machine) => machine.keep(machine.input.u32())],
  [0x94 /* MEMOIZE */, (machine) => machine.keep(machine.memo.size)],
  [0x61 /* APPEND */, (machine) => machine.append(machine.popSome(1))],
  [0x65 /* APPENDS */, (machine) => machine.append(machine.popMark())],
  [0x90 /* ADDITEMS */, (machine) => machine.addItems(machine.popMark())],
  [0x73 /* SETITEM */, (machine) => machine.setItems(machine.popSome(2))],
  [0x75 /* SETITEMS */, (machine) => machine.setItems(machine.popMark())],
  [0x62 /* BUILD */, (machine) => machine.setState(machine.pop())],
]);

function requireProtocol({ input }: PickleMachine): void {
  const version = input.u8();
  if (version > 5) throw new PickleError(`is of protocol ${version}, and 5 is the last that is known`);
}

function intOrBoolean({ input }: PickleMachine): unknown {
  const text = input.line();
  return text === '01' ? true : text === '00' ? false : input.decimal(text);
}

function stackGlobal(machine: PickleMachine): unknown {
  const [module, name] = machine.popSome(2);
  return machine.global(module, name);
}

function call(machine: PickleMachine): unknown {
  const [callee, args] = machine.popSome(2);
  return machine.call(callee, args);
}
