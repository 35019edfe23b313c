"use client";

import { useEffect } from "react";
import { write } from "../../write.js";

export default function Page() {
  useEffect(() => {
    const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    write(worker).then(
      (result) => (document.title = JSON.stringify(result)),
      (error) => (document.title = JSON.stringify({ error: String(error) })),
    );
    return () => worker.terminate();
  }, []);
  return <p>Eight tokens, in the title.</p>;
}
