// Encodes with Fraunhofer's AAC encoder, which lies in ffmpeg's WebAssembly build (npm @ffmpeg/core-st).
// node fdk.cjs IN.wav OUT.m4a ENCODER-OPTIONS...   (the package is found over NODE_PATH)
const fs = require("fs");
const path = require("path");

const script = require.resolve("@ffmpeg/core-st/dist/ffmpeg-core.js");
const folder = path.dirname(script);
const [source, target, ...options] = process.argv.slice(2);
const words = [];

require(script)({
  locateFile: (name) => path.join(folder, name),
  wasmBinary: fs.readFileSync(path.join(folder, "ffmpeg-core.wasm")),
  print: () => {},
  printErr: (line) => words.push(line),
}).then((core) => {
  core.FS.writeFile("in.wav", fs.readFileSync(source));
  const words_in = ["ffmpeg", "-nostdin", "-y", "-i", "in.wav", ...options, "out.m4a"];
  const table = core._malloc(words_in.length * 4);
  words_in.forEach((word, index) => {
    const size = core.lengthBytesUTF8(word) + 1;
    const at = core._malloc(size);
    core.stringToUTF8(word, at, size);
    core.setValue(table + 4 * index, at, "i32");
  });
  try {
    core._main(words_in.length, table);
  } catch (error) {
    // ffmpeg leaves by exit(), which arrives here as an exception; what counts is the file.
    if (error.name !== "ExitStatus") throw error;
  }
  fs.writeFileSync(target, core.FS.readFile("out.m4a"));
  process.exit(0);
}).catch((error) => {
  console.error(words.slice(-5).join("\n"), error);
  process.exit(1);
});
