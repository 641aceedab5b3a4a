/**
 * The packages of Prisma that are tested. Version 8 has no client extensions.
 *
 * @module
 */
export const PRISMA_PACKAGES = ["prisma@7.10.0", "@prisma/client@7.10.0", "@prisma/adapter-pg@7.10.0"] as const;
