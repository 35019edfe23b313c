export default {
  mode: "production",
  entry: "./main.js",
  output: { filename: "[name].js", module: true, clean: true },
};
