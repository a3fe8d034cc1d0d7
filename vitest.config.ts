import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { playwright } from '@vitest/browser-playwright';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';
import { chromeForTests } from './scripts/chrome.js';

const root = fileURLToPath(new URL('.', import.meta.url));
const data = resolve(root, process.env.SEGSORT_DATA || '../shared/data');

const wgsl: Plugin = {
  name: 'wgsl',
  transform: (code, id) =>
    id.endsWith('.wgsl') ? { code: `export default ${JSON.stringify(code)}`, map: null } : null,
};

/** Shared by both projects: the same files, which get at fixtures and real data through `test/support/files.ts`. */
const shared = {
  provide: { root, data: existsSync(data) ? data : '' },
  // A software adapter takes seconds for what a GPU does in milliseconds.
  testTimeout: 180_000,
  hookTimeout: 180_000,
};

export default defineConfig({
  plugins: [wgsl],
  server: { fs: { allow: [root, data] } },
  test: {
    reporters: ['default', './scripts/count_reporter.ts'],
    // Each worker keeps every core busy through the software adapter.
    maxWorkers: 2,
    projects: [
      {
        extends: true,
        test: {
          ...shared,
          name: 'node',
          include: ['test/**/*.test.ts'],
          pool: 'forks',
          globalSetup: './test/support/global_setup.ts',
        },
      },
      {
        extends: true,
        // Otherwise Vite finds it while a test runs, and reloads the page.
        optimizeDeps: {
          include: [
            '@bufbuild/protobuf/wire',
            '@zip.js/zip.js/lib/zip-core-reader.js',
            'crc-32',
            'crc-32/crc32c.js',
            'fast-png',
            'jpeg-js',
            'jpeg-js/lib/decoder.js',
            'snappyjs',
            'zod',
            'zod/mini',
            'zod/v4/locales/en.js',
          ],
        },
        test: {
          ...shared,
          name: 'chrome',
          include: ['test/**/*.test.ts'],
          exclude: ['test/**/*.node.test.ts'],
          browser: {
            enabled: true,
            // One page, beside the workers in Node: what one project leaves of the cores while it compiles kernels, the other takes.
            fileParallelism: false,
            headless: true,
            screenshotFailures: false,
            provider: playwright({ launchOptions: await chromeForTests() }),
            instances: [{ browser: 'chromium' }],
          },
        },
      },
    ],
  },
});
