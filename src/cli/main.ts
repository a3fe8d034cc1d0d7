#!/usr/bin/env node
/** The entry of the `segsort` command. */
import { runCli } from './program.js';

// A reader that has seen enough, such as `segsort --help | head`, is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});
process.exitCode = await runCli(process.argv.slice(2));
