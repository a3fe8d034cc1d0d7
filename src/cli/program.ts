/** The `segsort` command, put together from its sub-commands. */
import { Command, CommanderError, Option } from 'commander';
import { contoursCommand } from './contours.js';
import { convertCommand } from './convert.js';
import { dataCommand } from './data.js';
import { demoCommand } from './demo.js';
import { doctorCommand } from './doctor.js';
import { describeError, EXIT, exitCodeOf } from './errors.js';
import { evaluateCommand } from './evaluate.js';
import { explainCommand } from './explain.js';
import { inspectCommand } from './inspect.js';
import { predictCommand } from './predict.js';
import { profileCommand } from './profile.js';
import { prototypesCommand } from './prototypes.js';
import { variantsFor } from './session.js';
import { trainCommand } from './train.js';
import { VERSION } from './version.js';

const HELP = `
Start here:
  segsort demo                            train and segment handwritten digits, in minutes, also without a GPU
  segsort train --data FOLDER --preset small
  segsort prototypes RUN                  and then:
  segsort evaluate RUN
  segsort predict RUN photo.jpg --overlay
  segsort explain RUN photo.jpg

\`segsort <command> --help\` lists the options of a command.
`;

export function buildProgram(): Command {
  const program = new Command('segsort')
    .description('Segmentation by sorting segments (SegSort), trained and run on WebGPU')
    .version(VERSION, '-V, --version', 'print the version')
    .helpCommand(false)
    .addHelpText('after', HELP);
  for (const command of [
    demoCommand(),
    trainCommand(),
    prototypesCommand(),
    predictCommand(),
    evaluateCommand(),
    explainCommand(),
    dataCommand(),
    contoursCommand(),
    profileCommand(),
    inspectCommand(),
    convertCommand(),
    doctorCommand(variantsFor),
  ])
    program.addCommand(command);
  finish(program, 'segsort');
  return program;
}

/**
 * Gives a command and those below it what all have: `--help` and `--verbose`; and has them throw where they are called
 * wrongly, after one message in our style.
 */
function finish(command: Command, call: string): void {
  if (command.commands.length === 0)
    command.addOption(new Option('--verbose', 'print the stack of an error').helpGroup('General:'));
  command
    .helpOption('-h, --help', 'print this help')
    .exitOverride()
    .showHelpAfterError(`(${call} --help lists the options)`)
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'segsort: ')) });
  for (const below of command.commands) finish(below, `${call} ${below.name()}`);
}

/** Runs the command and returns its exit code. Errors are printed, not thrown. */
export async function runCli(args: readonly string[]): Promise<number> {
  process.exitCode = undefined;
  try {
    await buildProgram().parseAsync(args, { from: 'user' });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    // Commander has printed its message, or the help that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT.usage;
    console.error(`segsort: ${describeError(error, args.includes('--verbose'))}`);
    return exitCodeOf(error);
  }
}
