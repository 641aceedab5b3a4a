/**
 * The connections of the Data API to the database.
 *
 * @module
 */

/** Their `application_name`. */
export const DATA_API_APPLICATION = "data-api";

/** The most that it opens. It opens one for each call at once, and closes none. */
export const DATA_API_CONNECTIONS = 20;
