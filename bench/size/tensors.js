/** Training on tensors: the pixels come from somewhere else, here from nowhere. */
import { batch, openTrainer, side, train } from './training.js';

const trainer = await openTrainer();
const canvas = { shape: [batch, side, side], dtype: 'u32', data: new Uint32Array(batch * side * side) };
for (let i = 0; i < canvas.data.length; i++) canvas.data[i] = ((i * 2654435761) >>> 8) + ((i % side > side / 3) << 24); // colours, and two labels
const place = [side, side, 1, 1, 0, 0, 0, 0];
const placement = { shape: [batch, 8], dtype: 'f32', data: new Float32Array(Array(batch).fill(place).flat()) };
await train(trainer, () => ({ canvas, ids: null, placement }));
