//! Every sentence that people read from the API, in both languages. Strings that the earlier system's
//! clients match (contract, tags `[R0]`–`[R4]`) are marked; the others are ours to reword.

use super::language::Language;

/// One sentence in French and English.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sentence {
    fr: &'static str,
    en: &'static str,
}

impl Sentence {
    /// The sentence in `language`.
    pub(super) fn say(self, language: Language) -> &'static str {
        match language {
            Language::French => self.fr,
            Language::English => self.en,
        }
    }
}

macro_rules! sentences {
    ($($(#[$doc:meta])* $name:ident = $fr:literal / $en:literal;)*) => {
        $($(#[$doc])* pub(super) const $name: Sentence = Sentence { fr: $fr, en: $en };)*

        #[cfg(test)]
        const ALL: &[Sentence] = &[$($name),*];
    };
}

sentences! {
    INVALID = "La requête n’est pas valide." / "The request is not valid.";
    NO_CREDENTIALS = "Informations d’authentification non fournies." / "Authentication credentials were not provided.";
    TOKEN_INVALID = "Le jeton n’est pas valide ou a expiré." / "The token is invalid or has expired.";
    TOKEN_GIVEN_INVALID = "Le jeton fourni n’est valide pour aucun type de jeton." / "Given token not valid for any token type.";
    BAD_AUTHORIZATION = "L’en-tête Authorization doit contenir « Bearer » et un jeton." / "The Authorization header must hold “Bearer” and one token.";
    ACCOUNT_DISABLED = "Ce compte est désactivé." / "This account is disabled.";
    FORBIDDEN = "Vous n’avez pas la permission d’effectuer cette action." / "You do not have permission to do this.";
    NOT_FOUND = "Introuvable." / "Not found.";
    NO_SUCH_PAGE = "Page introuvable." / "There is no such page.";
    METHOD_NOT_ALLOWED = "Méthode non autorisée ici." / "This method is not allowed here.";
    UNSUPPORTED_TYPE = "Type de contenu non pris en charge : JSON, formulaire ou multipart." / "Unsupported content type: JSON, form or multipart.";
    TOO_LARGE = "La requête est trop volumineuse." / "The request is too large.";
    BODY_UNREADABLE = "Le corps de la requête n’a pas pu être lu." / "The body of the request could not be read.";
    NOT_AN_OBJECT = "Un objet est attendu." / "An object was expected.";
    CONFLICT = "Cette action contredit l’état actuel." / "This clashes with the present state.";
    THROTTLED = "Trop de tentatives. Veuillez patienter." / "Too many attempts. Please wait.";
    TOO_MANY_REQUESTS = "Trop de requêtes. Veuillez réessayer dans un instant." / "Too many requests. Please try again in a moment.";
    UNAVAILABLE = "Le service est momentanément indisponible. Veuillez réessayer." / "The service is unavailable for the moment. Please try again.";
    INTERNAL = "Erreur interne du serveur." / "Internal server error.";
    TOO_SLOW = "La requête a pris trop de temps." / "The request took too long.";

    REQUIRED = "Ce champ est obligatoire." / "This field is required.";
    NOT_NULL = "Ce champ ne peut être nul." / "This field may not be null.";
    NOT_BLANK = "Ce champ ne peut être vide." / "This field may not be blank.";
    NOT_A_TEXT = "Ce champ doit être une chaîne de caractères." / "Not a valid string.";
    NOT_A_BOOL = "Ce champ doit être vrai ou faux." / "Must be a valid boolean.";
    TOO_LONG_200 = "Ce champ est limité à 200 caractères." / "No more than 200 characters are allowed here.";
    TOO_LONG_5000 = "Ce champ est limité à 5000 caractères." / "No more than 5000 characters are allowed here.";
    UNKNOWN_STATUS = "Choisissez « live » ou « ended »." / "Choose “live” or “ended”.";

    LOGGED_IN = "Connexion réussie" / "Logged in";
    LOGGED_OUT = "Déconnexion réussie" / "Logged out";
    LOGIN_FIELDS = "L’adresse e-mail et le mot de passe sont requis." / "E-mail address and password are required.";
    LOGIN_EMAIL = "L’adresse e-mail n’est pas valide." / "The e-mail address is not valid.";
    LOGIN_WRONG = "Adresse e-mail ou mot de passe incorrect." / "Wrong e-mail address or password.";

    LIVE_STARTED = "Live démarré avec succès" / "The live has started";
    /// Matched by clients: R4.
    LIVE_STOPPED = "Live arrêté" / "Live stopped";
    /// Matched by clients: R0. The same in both languages would be safest, but only French clients existed.
    LIVE_QUARTIER = "Quartier requis pour le live" / "A quartier is required for a live";
    /// Matched by clients: R0.
    LIVE_START_FAILED = "Erreur lors du démarrage du live. Veuillez réessayer." / "The live could not be started. Please try again.";
    LIVE_ALREADY = "Vous avez déjà un live en cours." / "You already have a live running.";
    LIVE_UNKNOWN = "Live introuvable." / "There is no such live.";
    LIVE_NOT_YOURS = "Ce live n’est pas le vôtre." / "This live is not yours.";

    NO_SUCH_MEDIA = "Ce média n’existe pas ou n’est plus disponible." / "There is no such media, or no longer.";
    MEDIA_NOT_YET = "Le live n’a pas encore commencé." / "The live has not begun yet.";
    TOO_FAR_AHEAD = "La playlist demandée est trop loin dans l’avenir." / "The playlist asked for is too far ahead.";

    NO_LOCATION = "Localisation non renseignée" / "No location given";
    HEALTHY = "Le service fonctionne" / "The service is up";
    READY = "Le service est prêt" / "The service is ready";
    NOT_READY = "Le service n'est pas prêt" / "The service is not ready";
    WELCOME = "griot, la mémoire de ce qui se dit en direct" / "griot, the memory of what is said live";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_match_stays_as_the_reports_quote_it() {
        assert_eq!(
            LIVE_QUARTIER.say(Language::French),
            "Quartier requis pour le live"
        );
        assert_eq!(LIVE_STOPPED.say(Language::French), "Live arrêté");
        assert_eq!(
            LIVE_START_FAILED.say(Language::French),
            "Erreur lors du démarrage du live. Veuillez réessayer."
        );
    }

    #[test]
    fn every_sentence_exists_twice() {
        for sentence in ALL {
            assert!(!sentence.fr.is_empty() && !sentence.en.is_empty());
            assert_ne!(sentence.fr, sentence.en);
        }
    }
}
