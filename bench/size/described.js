/** Training on a folder that says in a `dataset.json` what its labels mean; it is checked, with every wrong field named. */
import { Dataset, datasetOptions, fetchFiles, Loader, openDescription, SEGSORT_AUGMENTATION } from 'segsort-webgpu';
import { batch, openTrainer, side, train } from './training.js';

const trainer = await openTrainer();
const files = fetchFiles(new URL('data/', location.href));
const dataset = await Dataset.open(files, 'train.txt', datasetOptions(await openDescription(files)));
const training = { ...SEGSORT_AUGMENTATION, seed: 1 };
await using loader = await Loader.open(dataset, { batch, crop: { height: side, width: side }, training, workers: 1 });
await train(trainer, (step) => loader.batch(step));
