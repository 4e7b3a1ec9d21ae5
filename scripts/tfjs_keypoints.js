// What TensorFlow.js makes of MoveNet Lightning's graph; see compare_movenet.py.
// node tfjs_keypoints.js GRAPH.json PICTURES OUT: pictures of 192x192 RGB, one behind the other; out come 17 x (y, x, score) as float32 for each.
const tf = require("@tensorflow/tfjs-core");
require("@tensorflow/tfjs-backend-cpu");
const { loadGraphModel } = require("@tensorflow/tfjs-converter");
const { readFileSync, writeFileSync } = require("fs");

const [graph, pictures, out] = process.argv.slice(2);
const SIZE = 192 * 192 * 3;

async function main() {
  const { modelTopology, weightsManifest, format, signature } = JSON.parse(readFileSync(graph));
  const weightData = new Uint8Array(readFileSync(graph.replace(/json$/, "bin"))).buffer;
  const load = async () => ({ modelTopology, weightSpecs: weightsManifest[0].weights, weightData, format, signature });
  const model = await loadGraphModel({ load });
  const bytes = readFileSync(pictures);
  const found = [];
  for (let start = 0; start < bytes.length; start += SIZE) {
    const picture = tf.tensor4d(Int32Array.from(bytes.subarray(start, start + SIZE)), [1, 192, 192, 3], "int32");
    found.push(...model.execute(picture).dataSync());
  }
  writeFileSync(out, Buffer.from(Float32Array.from(found).buffer));
}

main();
