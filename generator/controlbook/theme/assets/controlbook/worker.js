// SPDX-License-Identifier: Apache-2.0
// Search without a server. A page opened from a folder (file://) may not start a
// worker, so the search worker's script runs in an empty frame of the same page.
// No script is written inline: the content security policy allows files of this site
// and nothing else.
(function () {
  "use strict";
  if (location.protocol !== "file:" || !document.documentElement) return;

  class FrameWorker extends EventTarget {
    constructor(address) {
      super();
      this.waiting = [];
      this.inbox = null;
      const frame = document.createElement("iframe");
      frame.hidden = true;
      frame.title = "search";
      frame.setAttribute("aria-hidden", "true");
      frame.tabIndex = -1;
      document.documentElement.appendChild(frame);
      const scope = frame.contentWindow;
      const inbox = new EventTarget();
      scope.addEventListener = (type, listener) => inbox.addEventListener(type, listener);
      scope.postMessage = (data) => {
        const event = new MessageEvent("message", { data: data });
        this.dispatchEvent(event);
        if (typeof this.onmessage === "function") this.onmessage(event);
      };
      scope.importScripts = (...files) =>
        files.reduce((before, file) => before.then(() => load(scope, file)), Promise.resolve());
      load(scope, address).then(() => {
        this.inbox = inbox;
        for (const data of this.waiting.splice(0)) this.deliver(data);
      });
    }

    deliver(data) {
      setTimeout(() => this.inbox.dispatchEvent(new MessageEvent("message", { data: data })));
    }

    postMessage(data) {
      if (this.inbox) this.deliver(data);
      else this.waiting.push(data);
    }

    terminate() {}
  }

  function load(scope, address) {
    return new Promise((done, failed) => {
      const script = scope.document.createElement("script");
      script.src = new URL(address, location.href).href;
      script.onload = () => done();
      script.onerror = () => failed(new Error("cannot load " + address));
      scope.document.head.appendChild(script);
    });
  }

  window.Worker = FrameWorker;
})();
