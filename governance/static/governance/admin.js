// Copies a digest or a command, and tells a time in the reader's own zone.
"use strict";

document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    await navigator.clipboard.writeText(button.dataset.copy);
    button.classList.add("mn-copied");
    setTimeout(() => button.classList.remove("mn-copied"), 1200);
});

document.addEventListener("DOMContentLoaded", () => {
    for (const time of document.querySelectorAll("time.mn-time")) {
        time.title = `${new Date(time.dateTime).toLocaleString()} where you are`;
    }
});
