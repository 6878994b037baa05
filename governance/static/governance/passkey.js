// Asks the browser's authenticator before a form is sent, and sends its answer with the form.
"use strict";

const WORDS = {
    create: "No passkey was made.",
    get: "Nothing was signed.",
};

function answerOf(form, credential) {
    const told = credential.toJSON();
    const values = { ...told.response, credential_id: told.id };
    for (const field of form.querySelectorAll("input[data-from-passkey]")) {
        field.value = values[field.name] ?? "";
    }
}

async function ask(form) {
    const options = JSON.parse(document.getElementById("passkey-options").textContent);
    if (form.dataset.passkey === "create") {
        const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
        return navigator.credentials.create({ publicKey });
    }
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
    return navigator.credentials.get({ publicKey });
}

function tell(form, words) {
    let notice = form.querySelector("[role=alert]");
    if (!notice) {
        notice = document.createElement("p");
        notice.className = "mn-notice mn-bad";
        notice.setAttribute("role", "alert");
        form.prepend(notice);
    }
    notice.textContent = words;
}

document.querySelector("form[data-passkey]").addEventListener("submit", async (event) => {
    const form = event.target;
    event.preventDefault();
    if (!window.PublicKeyCredential?.parseRequestOptionsFromJSON) {
        tell(form, "This browser has no passkeys at this address. They need a current browser, and a host name over TLS.");
        return;
    }
    try {
        answerOf(form, await ask(form));
    } catch (error) {
        tell(form, `${WORDS[form.dataset.passkey]} The browser says: ${error.message}`);
        return;
    }
    form.submit();
});
