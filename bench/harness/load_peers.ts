import type { PeerLoader } from './session.js';

/** Loaded only where they are wanted: their packages may not be installed. */
export const loadPeers: PeerLoader = async (environment, device) => {
  const { peers } = await import('../peers/index.js');
  return peers(environment, device);
};
