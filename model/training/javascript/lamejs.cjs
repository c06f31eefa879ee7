// Encodes raw 16-bit stereo to MP3 with lamejs, LAME rewritten in JavaScript (npm lamejs).
// node lamejs.cjs IN.raw RATE-HZ KBIT-A-SECOND OUT.mp3   (the package is found over NODE_PATH)
const fs = require("fs");
const path = require("path");

const [source, rate, kbps, target] = process.argv.slice(2);
// The package's own entry is broken (MPEGMode is not defined); its bundle is not.
const bundle = path.join(path.dirname(require.resolve("lamejs/package.json")), "lame.all.js");
const lamejs = new Function(fs.readFileSync(bundle, "utf8") + "; return lamejs;")();

const bytes = fs.readFileSync(source);
const pcm = new Int16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
const left = new Int16Array(pcm.length / 2);
const right = new Int16Array(pcm.length / 2);
for (let i = 0; i < left.length; i += 1) {
  left[i] = pcm[2 * i];
  right[i] = pcm[2 * i + 1];
}
const encoder = new lamejs.Mp3Encoder(2, Number(rate), Number(kbps));
const parts = [];
for (let i = 0; i < left.length; i += 1152) {
  parts.push(Buffer.from(encoder.encodeBuffer(left.subarray(i, i + 1152), right.subarray(i, i + 1152))));
}
parts.push(Buffer.from(encoder.flush()));
fs.writeFileSync(target, Buffer.concat(parts));
