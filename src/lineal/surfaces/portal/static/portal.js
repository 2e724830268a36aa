// Small comforts; every page works without them.
"use strict";

(() => {
  const root = document.documentElement;
  const KEY = "lineal-theme";

  const stored = () => {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null;
    }
  };
  const chosen = stored();
  if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;

  function themeButton() {
    const button = document.querySelector(".theme");
    if (!button) return;
    const dark = () =>
      root.dataset.theme
        ? root.dataset.theme === "dark"
        : matchMedia("(prefers-color-scheme: dark)").matches;
    button.hidden = false;
    button.addEventListener("click", () => {
      root.dataset.theme = dark() ? "light" : "dark";
      try {
        localStorage.setItem(KEY, root.dataset.theme);
      } catch {
        // The choice lasts as long as the page.
      }
    });
  }

  function copyButtons() {
    if (!navigator.clipboard) return;
    for (const button of document.querySelectorAll(".copy")) {
      button.hidden = false;
      button.addEventListener("click", async () => {
        await navigator.clipboard.writeText(
          document.getElementById(button.dataset.copy).textContent,
        );
        const label = button.getAttribute("aria-label");
        button.setAttribute("aria-label", "Copied");
        button.classList.add("done");
        setTimeout(() => {
          button.setAttribute("aria-label", label);
          button.classList.remove("done");
        }, 1500);
      });
    }
  }

  function shortcuts() {
    document.addEventListener("keydown", (event) => {
      const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
      const slash = event.key === "/" && !typing && !event.ctrlKey && !event.metaKey;
      const k = event.key === "k" && (event.ctrlKey || event.metaKey);
      const box = document.getElementById("q");
      if (!box || (!slash && !k)) return;
      event.preventDefault();
      box.focus();
      box.select();
    });
  }

  // A wide picture begins with its focus in sight.
  function centre() {
    for (const canvas of document.querySelectorAll(".canvas")) {
      const focus = canvas.querySelector(".lg-focus");
      if (!focus) continue;
      const outer = canvas.getBoundingClientRect();
      const inner = focus.getBoundingClientRect();
      canvas.scrollLeft += inner.left + inner.width / 2 - outer.left - outer.width / 2;
      canvas.scrollTop += inner.top + inner.height / 2 - outer.top - outer.height / 2;
    }
  }

  // Pointing at a thing of the picture lights what it is joined to.
  function light() {
    for (const canvas of document.querySelectorAll(".canvas")) {
      const set = (target, on) => {
        const node = target.closest?.(".lg-node");
        if (!node) return;
        const id = node.dataset.id;
        for (const link of canvas.querySelectorAll(".lg-link"))
          if (link.dataset.start === id || link.dataset.end === id)
            link.classList.toggle("lg-lit", on);
      };
      for (const [name, on] of [["pointerover", true], ["pointerout", false], ["focusin", true], ["focusout", false]])
        canvas.addEventListener(name, (event) => set(event.target, on));
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    themeButton();
    copyButtons();
    shortcuts();
    centre();
    light();
  });
})();
