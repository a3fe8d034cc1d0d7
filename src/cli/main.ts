#!/usr/bin/env node
/** The entry of the `segsort` command. */
import { runCli } from './program.js';

process.exitCode = await runCli(process.argv.slice(2));
