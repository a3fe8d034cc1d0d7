import type { PeerLoader } from './session.js';

/**
 * Loaded only where they are wanted. Where the packages of `bench/package.json` are not installed, or a file of the bundle was not
 * carried along, PyTorch, which needs none of them, still takes part.
 */
export const loadPeers: PeerLoader = async (environment, device) => {
  try {
    const { peers } = await import('../peers/index.js');
    return { contenders: await peers(environment, device), notes: [] };
  } catch (error) {
    const notes = [`without peers from npm (\`cd bench && npm ci --ignore-scripts\`): ${messageOf(error)}`];
    if (environment !== 'node') return { contenders: [], notes };
    try {
      const { pytorchContenders } = await import('../peers/pytorch.js');
      return { contenders: await pytorchContenders(), notes };
    } catch (failure) {
      return { contenders: [], notes: [...notes, `without PyTorch: ${messageOf(failure)}`] };
    }
  }
};

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
