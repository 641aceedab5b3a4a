import { assert, assertEquals, assertInstanceOf, assertStrictEquals, assertThrows } from "@std/assert";
import {
  ConfigError,
  FEATURE_CONFIG,
  readTunnelEnvironment,
  SSHTunnel,
  type TunnelConfig,
  TunnelNotInitializedError,
} from "../../../shared/data/tunnel/mod.ts";

const REQUIRED = { sshHost: "remote-host", sshUsername: "user", sshKeyPath: "~/.ssh/id_rsa" };

/** Returns the issues of options or variables that are rejected. */
function issuesOf(work: () => unknown): Record<string, string> {
  const error = assertThrows(work, ConfigError);
  assertInstanceOf(error, ConfigError);
  return Object.fromEntries(error.issues.map(({ path, message }) => [path, message]));
}

Deno.test("FEATURE_CONFIG has the values of the specification", () => {
  assertEquals(FEATURE_CONFIG, {
    development: {
      maxConnections: 20,
      idleTimeout: 30000,
      connectionTimeout: 2000,
      healthCheckInterval: 60000,
      sshTunnel: { maxPoolSize: 10, maxRetries: 3, retryDelay: 1000 },
    },
    production: {
      maxConnections: 100,
      idleTimeout: 30000,
      connectionTimeout: 3000,
      healthCheckInterval: 30000,
      sshTunnel: { maxPoolSize: 20, maxRetries: 5, retryDelay: 2000 },
    },
  });
});

Deno.test("SSHTunnel.getInstance() throws SSHTunnel not initialized", () => {
  assertThrows(() => SSHTunnel.getInstance(), TunnelNotInitializedError, "SSHTunnel not initialized");
});

Deno.test("SSHTunnel.initializeInstance() returns one tunnel, and rejects other options until resetInstance()", () => {
  const config: TunnelConfig = { ...REQUIRED, sshPort: 22, remoteHost: "localhost", remotePort: 5432, localPort: 5432 };
  const tunnel = SSHTunnel.initializeInstance(config);
  try {
    assertStrictEquals(SSHTunnel.initializeInstance({ ...config }), tunnel);
    assertStrictEquals(SSHTunnel.getInstance(), tunnel);
    const issues = issuesOf(() => SSHTunnel.initializeInstance({ ...config, sshHost: "other", maxRetries: 1 }));
    assertEquals(Object.keys(issues).sort(), ["maxRetries", "sshHost"]);
    assertEquals(tunnel.isConnectedToTunnel(), false);
    const { maxPoolSize, maxRetries, retryDelay, healthCheckInterval, verifyHostKey } = tunnel.config;
    assertEquals([maxPoolSize, maxRetries, retryDelay, healthCheckInterval, verifyHostKey], [10, 3, 1000, 60000, true]);
    assertEquals(tunnel.postgresOptions().connect, tunnel.postgresOptions().connect);
    SSHTunnel.resetInstance();
    assert(SSHTunnel.initializeInstance({ ...config, sshHost: "other" }) !== tunnel);
  } finally {
    SSHTunnel.resetInstance();
  }
});

Deno.test("SSHTunnel.initializeInstance() lists every missing and bad option, and shows no value", () => {
  const bad = {
    sshHost: "host:22",
    sshKeyPath: "-----BEGIN KEY-----\nsecret",
    sshPort: 0,
    remotePort: 70_000,
    localPort: -1,
    maxPoolSize: 0,
    retryDelay: 0.5,
    sshKeyPassphrase: "",
    sshHostKey: "SHA256:short-secret",
    verifyHostKey: "no",
    sshKnownHostsPath: [],
    sshhost: "x",
  } as unknown as TunnelConfig;
  const issues = issuesOf(() => SSHTunnel.initializeInstance(bad));
  assertEquals(Object.keys(issues).sort(), [...Object.keys(bad), "sshUsername"].sort());
  assert(!JSON.stringify(issues).includes("secret"), JSON.stringify(issues));
  assertThrows(() => SSHTunnel.getInstance(), Error, "SSHTunnel not initialized");
});

Deno.test("SSHTunnel.initializeFromEnv() rejects the content of a private key as its path, which errors show", () => {
  const base64 = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZWQyNTUxOQAAACDsecret";
  const contents = [
    `-----BEGIN OPENSSH PRIVATE KEY-----\\n${base64}\\n-----END OPENSSH PRIVATE KEY-----`,
    `-----BEGIN RSA PRIVATE KEY----- MIIsecret -----END RSA PRIVATE KEY-----`,
    base64,
    btoa(`-----BEGIN OPENSSH PRIVATE KEY-----\n${base64}`),
    `MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7secret/secret`.padEnd(200, "A"),
    "PuTTY-User-Key-File-3: ssh-ed25519 secret",
    "k".repeat(1_025),
  ];
  const required = { SSH_HOST: "h", SSH_USER: "u" };
  for (const content of contents) {
    const issues = issuesOf(() => readTunnelEnvironment({ ...required, SSH_KEY_PATH: content }));
    assert(issues["SSH_KEY_PATH"]?.includes("not its content"), content);
    const options = { ...REQUIRED, sshKeyPath: content };
    const shown = JSON.stringify([issues, issuesOf(() => SSHTunnel.initializeInstance(options))]);
    assert(!shown.includes(content) && !shown.includes(content.slice(-20)), shown);
  }
  for (const path of ["~/.ssh/id_rsa", "MIIkey", `/${"k".repeat(1_023)}`, "C:\\keys\\id_ed25519", "./private key"]) {
    assertEquals(readTunnelEnvironment({ ...required, SSH_KEY_PATH: path }).sshKeyPath, path);
  }
});

Deno.test("SSHTunnel.initializeFromEnv() reads SSH_*, with the values of production for DB_PRESET=production", () => {
  const variables = {
    SSH_HOST: "bastion.example",
    SSH_PORT: "2222",
    SSH_USER: "tunnel",
    SSH_KEY_PATH: "~/.ssh/key",
    SSH_REMOTE_HOST: "db.internal",
    SSH_REMOTE_PORT: "5433",
    SSH_LOCAL_PORT: "15432",
    SSH_KEY_PASSPHRASE: " with spaces ",
    SSH_HOST_KEY: `SHA256:${"A".repeat(43)},SHA256:${"B".repeat(43)}`,
    SSH_KNOWN_HOSTS_PATH: "/etc/known",
    SSH_VERIFY_HOST_KEY: "on",
    DB_PRESET: "production",
  };
  assertEquals(readTunnelEnvironment(variables), {
    healthCheckInterval: 30000,
    maxPoolSize: 20,
    maxRetries: 5,
    retryDelay: 2000,
    sshHost: "bastion.example",
    sshPort: 2222,
    sshUsername: "tunnel",
    sshKeyPath: "~/.ssh/key",
    remoteHost: "db.internal",
    remotePort: 5433,
    localPort: 15432,
    sshKeyPassphrase: " with spaces ",
    sshHostKey: [`SHA256:${"A".repeat(43)}`, `SHA256:${"B".repeat(43)}`],
    sshKnownHostsPath: "/etc/known",
    verifyHostKey: true,
  });
  const { SSH_HOST, SSH_USER, SSH_KEY_PATH } = variables;
  const least = SSHTunnel.initializeFromEnv({ SSH_HOST, SSH_USER, SSH_KEY_PATH });
  SSHTunnel.resetInstance();
  const { sshPort, remoteHost, remotePort, localPort, maxPoolSize } = least.config;
  assertEquals([sshPort, remoteHost, remotePort, localPort, maxPoolSize], [22, "localhost", 5432, undefined, 10]);
});

Deno.test("SSHTunnel.initializeFromEnv() lists every missing and bad variable, without secrets", () => {
  const issues = issuesOf(() =>
    readTunnelEnvironment({ SSH_PORT: "ssh", SSH_USER: " ", SSH_KEY_PATH: "/k", SSH_VERIFY_HOST_KEY: "maybe" })
  );
  assertEquals(Object.keys(issues).sort(), ["SSH_HOST", "SSH_PORT", "SSH_USER", "SSH_VERIFY_HOST_KEY"]);
});
