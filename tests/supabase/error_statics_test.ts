import * as exported from "../../shared/supabase/mod.ts";
import { testErrorStatics } from "../support/error_statics.ts";

testErrorStatics("shared/supabase", exported, {
  ForeignAddressError: ["FOREIGN_ADDRESS", "permanent", 500],
  IdentityError: ["IDENTITY_REFUSED", "permanent", 500],
  RedirectError: ["REDIRECT_REFUSED", "permanent", 500],
  RequestTimeoutError: ["REQUEST_TIMEOUT", "ambiguous", 504],
  UrlTooLongError: ["URL_TOO_LONG", "permanent", 414],
  ViewRestrictedError: ["VIEW_RESTRICTED", "permanent", 500],
});
