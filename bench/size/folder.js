/** Training on a folder of a web server: JPEG or PNG images and PNG labels, decoded by workers, augmented, batched. */
import { Dataset, fetchFiles, Loader, SEGSORT_AUGMENTATION } from 'segsort-webgpu';
import { batch, openTrainer, side, train } from './training.js';

const trainer = await openTrainer();
const dataset = await Dataset.open(fetchFiles(new URL('data/', location.href)), 'train.txt');
const training = { ...SEGSORT_AUGMENTATION, seed: 1 };
await using loader = await Loader.open(dataset, { batch, crop: { height: side, width: side }, training, workers: 1 });
await train(trainer, (step) => loader.batch(step));
