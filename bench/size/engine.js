/** The engine alone: the README's example, a least-squares fit. */
import { assign, grad, matmul, mean, mul, openGpu, Runtime, scalar, square, sub } from 'segsort-webgpu';

const gpu = await openGpu();
using runtime = new Runtime(gpu);
const weights = runtime.resident('weights', { shape: [3, 1], dtype: 'f32' });
const step = runtime.compile((x, y) => {
  const loss = mean(square(sub(matmul(x, weights), y)));
  const [gradient] = grad(loss, [weights]);
  assign(weights, sub(weights, mul(gradient, scalar(0.1))));
  return loss;
});
const x = { shape: [4, 3], dtype: 'f32', data: Float32Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1) };
const y = { shape: [4, 1], dtype: 'f32', data: Float32Array.of(1, 2, 3, 6) };
const losses = [];
for (let i = 0; i < 3; i++) losses.push(await (await step.run(x, y)).scalar());
globalThis.trained = { losses };
