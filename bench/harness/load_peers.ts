import type { PeerLoader } from './session.js';

/**
 * Loaded only where they are wanted. Where the packages of `bench/package.json` are not installed, PyTorch, which needs none of
 * them, still takes part.
 */
export const loadPeers: PeerLoader = async (environment, device) => {
  const { peers } = await import('../peers/index.js');
  try {
    return { contenders: await peers(environment, device), notes: [] };
  } catch (error) {
    const { pytorchContenders } = await import('../peers/pytorch.js');
    const contenders = environment === 'node' ? await pytorchContenders() : [];
    const reason = error instanceof Error ? error.message : String(error);
    return { contenders, notes: [`without peers from npm (\`cd bench && npm ci --ignore-scripts\`): ${reason}`] };
  }
};
