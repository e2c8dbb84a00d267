import { defineConfig } from "vite";

// Static files with relative addresses: a machine that serves has no Node, and the page may stand below any path.
export default defineConfig({
  base: "./",
  build: {
    outDir: "../deploy/surface/page",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    reportCompressedSize: false,
  },
});
