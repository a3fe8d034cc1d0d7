/** All there is: every format of weights, backbone, objective, contours, evaluation. */
import * as segsort from 'segsort-webgpu';

globalThis.segsort = segsort;
